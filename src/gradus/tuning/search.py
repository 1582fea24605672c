"""The search itself: ask, run, tell, until the budget is used up.

What happens next is a function of what the storage holds, so nothing else has to be remembered: a
killed search reads the storage, and the trial that was under way goes on from its own state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gradus.errors import (
    CheckpointError,
    ContractError,
    DataError,
    TrainingError,
    UnknownName,
    UsageError,
)
from gradus.steps.inner import COSTS, Boundary, Inner, InnerResult
from gradus.tuning.config import TRIALS, BudgetConfig, ObjectiveConfig
from gradus.tuning.halving import Halving, Trial
from gradus.tuning.optuna_backend import Proposer, Storage
from gradus.tuning.space import Space, fill

# What one trial can fail of without the others failing too.
OWN_FAULTS: Final = (CheckpointError, ContractError, DataError, TrainingError, UsageError)


@dataclass
class Search:
    """One search.

    Attributes:
        step: the mapping of the step that is tuned, with its spaces.
        spaces: those.
        inner: runs it.
        storage: holds the trials; open.
        proposer: proposes them.
        objectives: what is searched for; the first one decides at rungs.
        budget: when no new one begins.
        halving: who goes on; None for all.
        patience: so many trials in a row without a better one end the search.
        keep: ``best`` drops the weights of those that lost.
        say: shows how far it is, as done, total and a text.
    """

    step: Mapping[str, Any]
    spaces: Sequence[Space]
    inner: Inner
    storage: Storage
    proposer: Proposer
    objectives: Sequence[ObjectiveConfig]
    budget: BudgetConfig
    halving: Halving | None = None
    patience: int | None = None
    keep: str = "best"
    say: Callable[[float, float, str], None] = field(default=lambda *_: None)
    _dropped: set[int] = field(default_factory=set, init=False)

    def run(self) -> list[Trial]:
        """Search to the end, and give all trials.

        Raises:
            TrainingError: no trial could be ended; with what the last one failed of.
            UnknownName: an objective that no trial has.
            Interrupted: the same search goes on.
        """
        while True:
            trials = self.storage.trials()
            trial = self._next(trials)
            if trial is None:
                break
            if trial.number == len(trials):
                self.storage.add(trial.params)
            self._advance(trial)
        if not any(trial.state == "done" for trial in trials):
            why = next((t.facts.get("error", "") for t in reversed(trials)), "")
            raise TrainingError(f"none of {len(trials)} trials could be ended: {why}")
        return trials

    def _next(self, trials: Sequence[Trial]) -> Trial | None:
        """Which trial goes on or begins; None at the end."""
        begun = [t for t in trials if t.state == "running" and not self._rests(t)]
        if begun:
            return begun[0]
        ended = any(trial.state == "done" for trial in trials)
        over = self._over(trials)
        if self.halving is not None and not (over and self.spent(trials) and ended):
            promoted = self.halving.promoted(trials)
            if promoted is not None:
                return promoted
        if not over:
            return Trial(len(trials), self.proposer.propose(trials))
        if self.halving is not None and not ended:
            return self.halving.leader(trials)
        return None

    def _rests(self, trial: Trial) -> bool:
        """Whether it stands at a rung of its own; whoever has no score there is under way."""
        if self.halving is None or not trial.rungs:
            return False
        # The last score counts: whoever was let go on has left its rung, and may have ended stages
        # since at whose ends nobody rests.
        return max(trial.rungs) in self.halving.rungs_of(trial.number)

    def _over(self, trials: Sequence[Trial]) -> bool:
        """Whether no new trial begins."""
        if self.budget.trials is not None and len(trials) >= self.budget.trials:
            return True
        return self.spent(trials) or self._stale(trials) or self._hopeless(trials)

    def _hopeless(self, trials: Sequence[Trial]) -> bool:
        """Whether nothing but failures came of so many trials in a row that more may go on for
        ever: what fails at once uses up no minutes and no tokens."""
        last = trials[-TRIALS:]
        return (
            self.budget.trials is None
            and len(last) == TRIALS
            and all(trial.state == "failed" for trial in last)
        )

    def spent(self, trials: Sequence[Trial]) -> bool:
        """Whether the budget of minutes or tokens is used up."""
        seconds, tokens = used(trials)
        minutes, most = self.budget.minutes, self.budget.tokens
        return (minutes is not None and seconds >= 60 * minutes) or (
            most is not None and tokens >= most
        )

    def _stale(self, trials: Sequence[Trial]) -> bool:
        """Whether patience is at its end: of several objectives, no trial joined the front."""
        if self.patience is None:
            return False
        leading = (
            front(trials, self.higher) if len(self.higher) > 1 else best_of(trials, self.higher)
        )
        # By when it was done, not by its number: one that rested may win long after it began.
        since = max((int(t.facts.get("begun", t.number + 1)) for t in leading), default=None)
        return since is not None and len(trials) - since >= self.patience

    @property
    def higher(self) -> tuple[bool, ...]:
        """By objective, whether more is better."""
        return tuple(objective.higher() for objective in self.objectives)

    def config(self, trial: Trial) -> dict[str, Any]:
        """The mapping of a trial's step."""
        values = {space.place: trial.params[space.name] for space in self.spaces}
        made: dict[str, Any] = fill(dict(self.step), values)
        return made

    def _advance(self, trial: Trial) -> None:
        """Run a trial to where it may rest, or to its end, and keep what came of it."""
        total = self.budget.trials or 0
        self.say(trial.number, max(total, trial.number + 1), trial.name)
        try:
            found = self.inner.run(
                trial.name,
                self.config(trial),
                boundary=lambda boundary: self._goes_on(trial, boundary),
                metrics=self.asked(),
                costs=self.timed(),
                weights=False,
            )
            if found.paused is None:
                trials = self.storage.trials()
                facts = {**facts_of(found), "begun": len(trials)}
                self.storage.done(trials[trial.number], self.values(found), facts)
        except OWN_FAULTS as error:
            self.storage.failed(self._now(trial), {"error": str(error), **self._taken(trial)})
            return
        if self.keep == "best" and found.paused is None:
            self._drop_losers()

    def _taken(self, trial: Trial) -> dict[str, Any]:
        """What a trial has cost that failed: the budget pays for it as for any other."""
        try:
            return cost_facts(self.inner.taken(trial.name, self.config(trial)))
        except OWN_FAULTS:
            return {}  # its settings are no step at all, so nothing was begun

    def _goes_on(self, trial: Trial, boundary: Boundary) -> bool:
        """Keep the score at a boundary, and say whether the trial goes on at once."""
        metric = self.objectives[0].metric
        if self.halving is None:
            return True
        if metric not in boundary.values:
            # No fault of this trial: all others would be trained as far and fail of it too.
            raise UnknownName("score at the end of a stage", metric, boundary.values)
        facts = {"tokens": boundary.tokens, "seconds": boundary.seconds, "stages": boundary.stage}
        self.storage.report(self._now(trial), boundary.stage, boundary.values[metric], facts)
        if boundary.stage not in self.halving.rungs_of(trial.number):
            return True
        following = self._next(self.storage.trials())
        return following is not None and following.number == trial.number

    def _now(self, trial: Trial) -> Trial:
        return self.storage.trials()[trial.number]

    def asked(self) -> tuple[str, ...]:
        """The objectives that are metrics of what the checkpoint says."""
        from gradus import registry

        known = {registry.plain(name) for name in registry.names("metrics")}
        named = [objective.metric for objective in self.objectives]
        return tuple(name for name in named if name in known and name not in COSTS)

    def timed(self) -> bool:
        """Whether an objective is a cost."""
        return any(objective.metric in COSTS for objective in self.objectives)

    def values(self, found: InnerResult) -> tuple[float, ...]:
        """A trial's values of the objectives.

        Raises:
            TrainingError: one of them is no finite number, or undefined on what it says.
            UnknownName: there is no such value. No fault of this trial: all others would be
                trained to their end as well and fail of it too.
        """
        known = {**found.scores, **found.costs}
        for objective in self.objectives:
            name = objective.metric
            # Of a metric that was taken there is no score where it is no finite number.
            undefined = found.items is not None and name in self.asked() and name not in known
            if undefined or not math.isfinite(known.get(name, 0.0)):
                raise TrainingError(f"its {name} on dev.select is no finite number")
            if name not in known:
                raise UnknownName("objective", name, known)
        return tuple(float(known[objective.metric]) for objective in self.objectives)

    def _drop_losers(self) -> None:
        """Weights of trials that are done and lead nowhere."""
        trials = self.storage.trials()
        for trial in losers(trials, winners(trials, self.higher)):
            # Once each: a loser never leads again.
            if trial.state == "done" and trial.number not in self._dropped:
                self.drop(trial)
                self._dropped.add(trial.number)

    def drop(self, trial: Trial) -> None:
        """Drop what lies on the disk of a trial."""
        found = self.inner.known(trial.name, self.config(trial), metrics=self.asked())
        if found is not None:
            self.inner.drop(found)


def facts_of(found: InnerResult) -> dict[str, Any]:
    """What the storage keeps of a trial beside its values."""
    return {
        "fingerprint": found.fingerprint[:12],
        **cost_facts(found.cost),
        "stages": len(found.facts.get("stages", ())),
    }


def cost_facts(cost: Mapping[str, Any]) -> dict[str, Any]:
    """What the budget counts of a step's cost; what isn't known isn't there."""
    found: dict[str, Any] = {}
    if "train_tokens" in cost:
        found["tokens"] = int(cost["train_tokens"])
    seconds = cost.get("train_seconds") or cost.get("seconds")
    return found if seconds is None else {**found, "seconds": float(seconds)}


def used(trials: Sequence[Trial]) -> tuple[float, int]:
    """Seconds of training and tokens of all trials."""
    return (
        sum(float(trial.facts.get("seconds", 0.0)) for trial in trials),
        sum(int(trial.facts.get("tokens", 0)) for trial in trials),
    )


def better(one: Sequence[float], other: Sequence[float], higher: Sequence[bool]) -> bool:
    """Whether `one` is nowhere worse and somewhere better: it dominates."""
    signed = [(a, b) if up else (b, a) for a, b, up in zip(one, other, higher, strict=True)]
    return all(a >= b for a, b in signed) and any(a > b for a, b in signed)


def front(trials: Sequence[Trial], higher: Sequence[bool]) -> list[Trial]:
    """The trials that are done and that none other dominates, in order."""
    done = [trial for trial in trials if trial.state == "done"]
    return [t for t in done if not any(better(o.values, t.values, higher) for o in done)]


def best_of(trials: Sequence[Trial], higher: Sequence[bool]) -> list[Trial]:
    """The best by the first objective, of equals by the next ones, then the earliest; one or none.

    With several objectives it is of the front.
    """
    signs = [-1.0 if up else 1.0 for up in higher]

    def rank(trial: Trial) -> tuple[tuple[float, ...], int]:
        return tuple(s * v for s, v in zip(signs, trial.values, strict=True)), trial.number

    return sorted(front(trials, higher), key=rank)[:1]


def winners(trials: Sequence[Trial], higher: Sequence[bool]) -> list[Trial]:
    """Whose weights are kept: the best, or the front of several objectives."""
    return front(trials, higher) if len(higher) > 1 else best_of(trials, higher)


def losers(trials: Sequence[Trial], kept: Sequence[Trial]) -> list[Trial]:
    """Those that aren't kept; the settings of one that is may have been proposed twice, and are
    the same step in the same folder."""
    settings = [trial.params for trial in kept]
    return [trial for trial in trials if trial.params not in settings]
