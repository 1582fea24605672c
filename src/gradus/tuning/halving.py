"""Who goes on: successive halving at stage boundaries, one trial after the other.

Asynchronous successive halving (Li et al. 2020, A system for massively parallel hyperparameter
tuning, algorithm 2) by one worker: whenever it is free, a trial that stands at a rung among the
best ``1/eta`` of those that came so far goes on to the next rung; only where there is none, a new
one begins. Nobody is stopped for good: who stands low may be among the best of more trials later.
Hyperband (Li et al. 2018) spreads the trials over brackets, each of which begins to compare one
rung later than the one before. All of it is a pure function of the trials so far.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial as the storage has it.

    Attributes:
        number: from 0, in order of proposal.
        params: value by the space's name.
        state: running until it has gone through all stages or failed; one that rests at a rung is
            running too.
        rungs: by number of stages that were over, the score there.
        values: of the objectives, once it is done.
        facts: fingerprint, tokens, seconds, stages, error.
    """

    number: int
    params: Mapping[str, Any]
    state: State = "running"
    rungs: Mapping[int, float] = field(default_factory=dict)
    values: tuple[float, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``trial-0003``."""
        return f"trial-{self.number:04d}"

    def passed(self, stage: int) -> bool:
        """Whether it has gone beyond the boundary after `stage` stages."""
        return self.state == "done" or any(rung > stage for rung in self.rungs)


@dataclass(frozen=True, slots=True)
class Halving:
    """Rungs and brackets.

    Attributes:
        eta: one in so many goes on.
        rungs: boundaries (number of stages that are over) at which trials are compared.
        brackets: how many; 1 is plain successive halving.
        higher: whether a greater score is better.
    """

    eta: int
    rungs: tuple[int, ...]
    brackets: int = 1
    higher: bool = True

    def sizes(self) -> list[int]:
        """How many trials of a round each bracket gets (Hyperband, algorithm 1, line 3)."""
        last = self.brackets - 1
        return [
            math.ceil((last + 1) / (last - b + 1) * self.eta ** (last - b))
            for b in range(self.brackets)
        ]

    def bracket(self, number: int) -> int:
        """The bracket of a trial; bracket b compares from the b-th rung on."""
        place = number % sum(self.sizes())
        for bracket, size in enumerate(self.sizes()):
            if place < size:
                return bracket
            place -= size
        raise AssertionError("sizes add up")

    def rungs_of(self, number: int) -> tuple[int, ...]:
        """The boundaries at which that trial may have to rest."""
        return self.rungs[self.bracket(number) :]

    def promoted(self, trials: Sequence[Trial]) -> Trial | None:
        """Who goes on now: from the highest rung that has someone, the best; None for nobody."""
        for stage in reversed(self.rungs):
            for bracket in range(self.brackets):
                found = self._at(stage, bracket, trials)
                if found is not None:
                    return found
        return None

    def _at(self, stage: int, bracket: int, trials: Sequence[Trial]) -> Trial | None:
        here = [
            trial
            for trial in trials
            if self.bracket(trial.number) == bracket
            and stage in self.rungs_of(trial.number)
            and stage in trial.rungs
        ]
        top = self.ranked(here, stage)[: len(here) // self.eta]
        return next((t for t in top if t.state == "running" and not t.passed(stage)), None)

    def ranked(self, trials: Sequence[Trial], stage: int) -> list[Trial]:
        """By the score after `stage` stages, the best first; of equals the earlier one."""
        sign = -1.0 if self.higher else 1.0
        return sorted(trials, key=lambda trial: (sign * trial.rungs[stage], trial.number))

    def leader(self, trials: Sequence[Trial]) -> Trial | None:
        """Who stands best of those that have come furthest and rest."""
        resting = [trial for trial in trials if trial.state == "running" and trial.rungs]
        if not resting:
            return None
        furthest = max(max(trial.rungs) for trial in resting)
        there = [trial for trial in resting if furthest in trial.rungs]
        return self.ranked(there, furthest)[0]
