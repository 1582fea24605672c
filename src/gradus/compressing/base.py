"""What the job is asked for and what it finds. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

from gradus.gates import GateSpec
from gradus.records import Record, Verdict

ORIGINAL: Final = "original"
"""What the checkpoint that is compressed is called in the plan."""
FILE: Final = "frontier.json"

Aim = Literal["latency", "size", "throughput"]
Way = Literal["quantize", "prune", "distil"]
WAYS: Final[tuple[Way, ...]] = ("quantize", "prune", "distil")
COSTS: Final[Mapping[str, str]] = {
    "latency": "latency_p50_ms",
    "size": "size_mb",
    "throughput": "throughput_texts_s",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the job is asked for.

    Attributes:
        model: the checkpoint, as a plan's models have it.
        layers: how many it has; None where that isn't known, so that no student is made of it.
        data: name of the data set, as the plan's ``data`` has it.
        config: its section.
        budget: what a compressed checkpoint must keep, against ``parent``.
        target: what shall become small (of throughput: large).
        ways: which of `WAYS` are tried.
        schemes: of `quantize`, those that are tried; all where it is empty.
        claim: the split on which the claim is made: ``test`` or ``dev.gate``.
        seed: of the plan.
        name: of the run.
        folder: what relative paths are relative to.
        measure: the plan's ``measure`` section.
    """

    model: Mapping[str, Any]
    layers: int | None
    data: str
    config: Mapping[str, Any]
    budget: GateSpec
    target: Aim
    ways: tuple[Way, ...] = WAYS
    schemes: tuple[str, ...] = ()
    claim: str = "test"
    seed: int = 0
    name: str = "compress"
    folder: Path = Path()
    measure: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One combination.

    Attributes:
        name: the id of its step, and so of its checkpoint.
        start: whom it is made from: `ORIGINAL` or another candidate.
        ways: what was done, in order.
        how: the same in words.
        step: the step, as a plan has it.
    """

    name: str
    start: str
    ways: tuple[Way, ...]
    how: str
    step: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point(Record):
    """A checkpoint as it stands on dev.select.

    Attributes:
        name: of the checkpoint.
        how: what was done to the original, in words.
        value, ci_low, ci_high: of the budget's metric.
        costs: by metric, (value, low, high); an end is None where there is no interval.
        within: whether the value, without a test, is within the budget.
        front: whether no other is both better and, by the target, cheaper.
        verdict: of the claim, where it was tested.
    """

    name: str
    how: str
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    costs: Mapping[str, tuple[float | None, float | None, float | None]] = field(
        default_factory=dict
    )
    within: bool = False
    front: bool = False
    verdict: Verdict | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """See `Record.from_json`."""
        verdict = raw.get("verdict")
        costs = {name: tuple(ends) for name, ends in raw["costs"].items()}
        held = None if verdict is None else Verdict.from_json(verdict)
        return cls(**{**raw, "costs": costs, "verdict": held})


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier(Record):
    """What the job found; kept as `FILE` in the run folder.

    Attributes:
        budget: as it was asked.
        target: as it was asked.
        metric: of the budget; `unit` and `direction` are its.
        data, claim: the data set, and the split of it that the claim was made on.
        points: the original first, then every candidate that could be made.
        refused: by candidate, why it could not be made.
        recommended: name of the smallest (fastest) that the test admits; None where none is.
        checkpoint: its folder, relative to the run's.
    """

    budget: str
    target: Aim
    metric: str
    unit: str
    direction: str
    data: str
    claim: str
    points: tuple[Point, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    recommended: str | None = None
    checkpoint: str | None = None

    def point(self, name: str) -> Point:
        """The point of that name; KeyError when there is none."""
        for point in self.points:
            if point.name == name:
                return point
        raise KeyError(name)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """See `Record.from_json`."""
        return cls(**{**raw, "points": tuple(Point.from_json(p) for p in raw["points"])})
