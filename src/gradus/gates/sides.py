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
    from gradus.metrics.base import Metric, Observed
    from gradus.metrics.repeated import Seen

HAND_OFF = ("dtype", "backend")
COMPARABLE = ("unit", "benchmark", "data", "split")
FREE = (
    *HAND_OFF,
    "tokenizer",
    "batching",
    "max_tokens",
    "postprocess",
    "sample",
    "texts",
    "texts_each",
    "preset",
)
"""Keys of a contract that need not agree. The checkpoint brings the first ones along, items are
paired one by one, so that samples only share what is in both, and a preset is a name for others.
Writers may write several texts to a prompt; metrics that mind say so (`Metric.bound`).
What is left says how the numbers were taken: window, stride, format, file, limit, ..."""


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
        found.sort(key=lambda m: (m.data != gate.prefix, m.split != "dev.gate"))
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


def check_contract(own: Measurement, other: Measurement, bound: Sequence[str] | None = None) -> str:
    """Refuse what can't be compared; say which contracts differ where that is a hand-off.

    Args:
        own: the measurement that is asked about.
        other: the one that it is held against.
        bound: the metric's `bound`, for one that the catalog doesn't have: a plan's own score.

    Raises:
        ContractError: unit, benchmark, data or split differ, or terms of the contract that must
            agree; names the first that does, with both values.
    """
    differing = [
        (name, getattr(own, name), getattr(other, name))
        for name in COMPARABLE
        if getattr(own, name) != getattr(other, name)
    ]
    bound = _bound(own.metric) if bound is None else bound
    terms = [
        name
        for name in dict.fromkeys((*own.contract, *other.contract))
        if (name not in FREE or name in bound)
        and own.contract.get(name) != other.contract.get(name)
    ]
    differing += [(name, own.contract.get(name), other.contract.get(name)) for name in terms]
    for name, mine, theirs in differing[:1]:
        said = [f"'{value}'" if value is not None else "not stated" for value in (mine, theirs)]
        raise ContractError(
            f"{own.metric} of {own.checkpoint or 'this checkpoint'} and of "
            f"{other.checkpoint or 'the reference'} can't be compared: {name} is "
            f"{said[0]} here and {said[1]} there; {_instead(name)}"
        )
    handed = [
        f"{name} {other.contract.get(name)} to {own.contract.get(name)}"
        for name in HAND_OFF
        if own.contract.get(name) != other.contract.get(name)
    ]
    return f"; a hand-off comparison ({', '.join(handed)})" if handed else ""


def _bound(text: str) -> tuple[str, ...]:
    """What else must agree for a metric of the catalog, or a slice of one."""
    from gradus import metrics, registry

    name, _ = metrics.lookup(text.partition("{")[0])
    if name not in {plain(entry) for entry in registry.names("metrics")}:
        return ()
    kind: type[Metric] = registry.load("metrics", name)
    return kind.bound


def _instead(name: str) -> str:
    if name == "tokenizer":
        return "across tokenizers compare bits_per_byte, or perplexity of a word or byte"
    return "measure both alike"


def align(own: Seen, other: Seen) -> tuple[Seen, Seen]:
    """The items that both have, by id, in the order of the first; labels in its order too.

    Where a side has several seeds, each of them.

    Raises:
        ContractError: label sets or the true labels of shared items differ.
    """
    import numpy as np

    from gradus.metrics.repeated import like, of_both, one_of, runs_of

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
    first, second = of_both(own, other)
    if own.labels != other.labels:
        second = like(second, [run.relabelled(own.labels) for run in runs_of(second)])
    if own.target == "writing":
        return first, second  # paired by their prompts, of which nothing else is true
    differing = np.flatnonzero(~one_of(first).gold_equals(one_of(second)))
    if len(differing):
        item = first.ids[int(differing[0])]
        raise ContractError(
            f"{len(differing)} shared items have different true labels, the first is {item}: "
            "the data changed between the two measurements; measure both again"
        )
    return first, second
