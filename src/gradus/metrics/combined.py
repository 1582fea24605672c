# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Scores that are arithmetic over other metrics of the same items.

A resample is one for all parts, so that the interval knows how they vary together.

Legend: N items, D weightings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from gradus.errors import UsageError, unknown
from gradus.metrics.base import Direction, Items, Metric
from gradus.metrics.formula import Formula
from gradus.metrics.means import MeanMetric
from gradus.metrics.priced import Priced

if TYPE_CHECKING:
    import numpy as np

_DEMANDING = (
    "labels",
    "probabilities",
    "labelsets",
    "labelset probabilities",
    "numbers",
    "spans",
    "texts",
    "greedy",
    "options",
    "replies",
    "writings",
)


@dataclass(frozen=True, slots=True)
class Part:
    """A metric of a formula: its kind, and the label that it is asked of."""

    kind: type[Metric]
    label: str | None = None

    def on(self, labels: Sequence[str]) -> Metric:
        """The metric, where data have these labels.

        Raises:
            UsageError: they don't have the part's.
        """
        if self.label is None:
            return self.kind()
        if self.label not in labels:
            raise UsageError(unknown("label", self.label, labels))
        return self.kind(list(labels).index(self.label))


class Combined(Metric):
    """A formula over metrics of the same items; NaN where a part is or where it divides by zero.

    Class attributes:
        formula: the formula.
        parts: what each metric that it names stands for.
    """

    source = "the plan's own formula"
    formula: ClassVar[Formula]
    parts: ClassVar[Mapping[str, Part]]

    def __call__(self, observed: Items) -> float:
        values = {text: part.on(observed.labels)(observed) for text, part in self.parts.items()}
        return float(self.formula(values))

    def weighted(self, predictions: Items, weights: np.ndarray) -> np.ndarray | None:
        import numpy as np

        values: dict[str, np.ndarray] = {}
        for text, part in self.parts.items():
            found = part.on(predictions.labels).weighted(predictions, weights)
            if found is None:
                return None
            values[text] = found
        return np.asarray(self.formula(values), dtype=np.float64)

    @classmethod
    def lacking(cls, labels: tuple[str, ...]) -> list[str]:
        """The labels that its parts are asked of, but that data with `labels` don't have."""
        found: dict[str, None] = {}
        for part in cls.parts.values():
            if part.label is not None and part.label not in labels:
                found[part.label] = None
            if issubclass(part.kind, Combined | Priced):
                found |= dict.fromkeys(part.kind.lacking(labels))
        return list(found)


class CombinedMean(Combined, MeanMetric):
    """A weighted sum of means over the items is a mean itself, and has its intervals."""

    def per_item(self, predictions: Items) -> np.ndarray:
        import numpy as np

        affine = self.formula.affine()
        assert affine is not None  # `combined` chose this class for it
        found = np.full(len(predictions), affine[0])
        for text, factor in affine[1].items():
            part: Any = self.parts[text].on(predictions.labels)
            found += factor * part.per_item(predictions)
        return found

    def weighted(self, predictions: Items, weights: np.ndarray) -> np.ndarray:
        return MeanMetric.weighted(self, predictions, weights)


def combined(
    name: str,
    formula: Formula,
    parts: Mapping[str, Part],
    *,
    unit: str,
    direction: Direction,
) -> type[Combined]:
    """The metric of that name; `parts` has an entry for each of the formula's metrics."""
    affine = formula.affine()
    means = affine is not None and all(issubclass(p.kind, MeanMetric) for p in parts.values())
    needs = max((p.kind.needs for p in parts.values()), key=_DEMANDING.index)
    own = {
        "__module__": __name__,
        "__doc__": Combined.__doc__,
        "name": name,
        "unit": unit,
        "direction": direction,
        "range": _range(affine, parts),
        "summary": formula.text,
        "needs": needs,
        "paired": all(p.kind.paired for p in parts.values()),
        "bound": tuple(dict.fromkeys(key for p in parts.values() for key in p.kind.bound)),
        "formula": formula,
        "parts": dict(parts),
    }
    base = CombinedMean if means else Combined
    return cast("type[Combined]", type(name, (base,), own))


def _range(
    affine: tuple[float, dict[str, float]] | None, parts: Mapping[str, Part]
) -> tuple[float, float]:
    """The least and the greatest value of a weighted sum; unbounded for other formulas."""
    if affine is None:
        return -math.inf, math.inf
    low = high = affine[0]
    for text, factor in affine[1].items():
        if factor:
            ends = sorted(factor * end for end in parts[text].kind.range)
            low, high = low + ends[0], high + ends[1]
    return low, high
