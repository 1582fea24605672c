"""What a gate sees of a checkpoint, and how two checkpoints' items are laid side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradus.errors import ContractError
from gradus.gates.grammar import GateSpec
from gradus.records import Measurement
from gradus.registry import plain

if TYPE_CHECKING:
    from gradus.metrics.base import Observed
    from gradus.metrics.repeated import Seen

HAND_OFF = ("dtype", "backend")
COMPARABLE = ("unit", "benchmark", "data", "split")


@dataclass(frozen=True, slots=True)
class Side:
    """A checkpoint's name, its measurements and, where kept, its items and timings.

    The items are those of every seed where the step was repeated with several; for a gate on a
    slice, the slice's alone.
    """

    name: str
    measurements: Sequence[Measurement] = ()
    predictions: Seen | None = None
    observed: Observed | None = None

    def measurement(self, gate: GateSpec) -> Measurement | None:
        """The measurement that the gate asks for.

        A prefix must be its data set, split, benchmark or ``data.split``; without one, a
        measurement on ``dev.gate`` goes before others.
        """
        found = [m for m in self.measurements if m.metric == gate.measured]
        if gate.prefix is not None:
            found = [m for m in found if gate.prefix in _prefixes(m)]
        found.sort(key=lambda m: m.split != "dev.gate")
        return found[0] if found else None


def _prefixes(m: Measurement) -> set[str]:
    return {m.data, m.split, m.benchmark, plain(m.benchmark), f"{m.data}.{m.split}"}


def defined(measurement: Measurement | None) -> bool:
    """Whether there is a measurement and its value is a finite number."""
    return (
        measurement is not None
        and measurement.value is not None
        and math.isfinite(measurement.value)
    )


def check_contract(own: Measurement, other: Measurement) -> str:
    """Refuse what can't be compared; say which contracts differ where that is a hand-off.

    Raises:
        ContractError: unit, benchmark, data or split differ.
    """
    for name in COMPARABLE:
        mine, theirs = getattr(own, name), getattr(other, name)
        if mine != theirs:
            raise ContractError(
                f"{own.metric} of {own.checkpoint or 'this checkpoint'} and of "
                f"{other.checkpoint or 'the reference'} can't be compared: {name} is "
                f"'{mine}' here and '{theirs}' there; measure both alike"
            )
    differing = [
        f"{name} {other.contract.get(name)} to {own.contract.get(name)}"
        for name in HAND_OFF
        if own.contract.get(name) != other.contract.get(name)
    ]
    return f"; a hand-off comparison ({', '.join(differing)})" if differing else ""


def align(own: Seen, other: Seen) -> tuple[Seen, Seen]:
    """The items that both have, by id, in the order of the first; labels in its order too.

    Where a side has several seeds, each of them.

    Raises:
        ContractError: label sets or the true labels of shared items differ.
    """
    import numpy as np

    from gradus.metrics.repeated import kept, like, one_of, runs_of

    if own.target != other.target:
        raise ContractError(
            f"one checkpoint was measured on data with target '{own.target}', the other on data "
            f"with target '{other.target}': measure both on the same data"
        )
    if set(own.labels) != set(other.labels):
        odd = sorted(set(own.labels) ^ set(other.labels))
        raise ContractError(
            f"the two checkpoints know different labels ({', '.join(odd[:3])}"
            f"{', ...' if len(odd) > 3 else ''} on one side only): measure both on the same data"
        )
    where = {item: i for i, item in enumerate(other.ids)}
    rows = [i for i, item in enumerate(own.ids) if item in where]
    first = kept(own, np.array(rows, dtype=np.int64))
    second = kept(other, np.array([where[own.ids[i]] for i in rows], dtype=np.int64))
    if own.labels != other.labels:
        second = like(second, [run.relabelled(own.labels) for run in runs_of(second)])
    differing = np.flatnonzero(~one_of(first).gold_equals(one_of(second)))
    if len(differing):
        item = own.ids[rows[int(differing[0])]]
        raise ContractError(
            f"{len(differing)} shared items have different true labels, the first is {item}: "
            "the data changed between the two measurements; measure both again"
        )
    return first, second
