"""Drawing resamples, the metric's values on them, and their quantiles.

Legend: N items, D draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from gradus.metrics.base import Items, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 4_000_000
"""Weights held at once: 32 MB, whatever the number of items."""


def chunks(draws: int, width: int) -> Iterator[int]:
    """Numbers of draws, at most CHUNK // width each, that add up to `draws`."""
    size = max(1, CHUNK // max(width, 1))
    for start in range(0, draws, size):
        yield min(size, draws - start)


def resamples(n: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of n items is drawn, with replacement: float64 [D, N]."""
    flat = rng.integers(0, n, size=(draws, n)) + n * np.arange(draws)[:, None]
    return np.bincount(flat.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Units:
    """What a bootstrap draws: the items, or groups of them that stay together.

    Attributes:
        count: U, the number of units.
        sides: for each side that is drawn alike, int64 [N], the unit of each of its items; None
            where every item is a unit.
    """

    count: int
    sides: tuple[np.ndarray | None, ...]

    @classmethod
    def of(cls, *sides: Items) -> Units:
        """The units of one set of items, or of several on the same units in the same order."""
        groups = tuple(side.groups() for side in sides)
        counts = [
            len(side) if group is None else int(group.max(initial=-1)) + 1
            for side, group in zip(sides, groups, strict=True)
        ]
        assert len(set(counts)) == 1, "sides are aligned before they are drawn"
        return cls(counts[0], groups)

    def resamples(self, draws: int, rng: np.random.Generator) -> np.ndarray:
        """How often each unit is drawn, with replacement: float64 [D, U]."""
        return resamples(self.count, draws, rng)

    def weights(self, drawn: np.ndarray, side: int = 0) -> np.ndarray:
        """The weights of a side's items under weights of the units: [D, U] to [D, N]."""
        group = self.sides[side]
        return drawn if group is None else drawn[:, group]

    def exchanged(self, swap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights [D, N + N'] of both sides' items, joined, where units are exchanged, both ways.

        `swap` [D, U] is 1 where a unit's items change sides. Where one side has more items in every
        unit than the other, an item of the other weighs as much more, so that a unit weighs the
        same on either side.
        """
        first, second = (self._items(side) for side in (0, 1))
        mine, theirs = second * self.weights(swap, 0), first * self.weights(swap, 1)
        return np.hstack([second - mine, theirs]), np.hstack([mine, first - theirs])

    def _items(self, side: int) -> float:
        """How many items each unit has on a side; 1 where they have different numbers."""
        group = self.sides[side]
        counts = np.ones(1) if group is None else np.bincount(group, minlength=self.count)
        return float(counts[0]) if (counts == counts[0]).all() else 1.0

    def totals(self, values: np.ndarray, side: int = 0) -> np.ndarray:
        """Sums of a side's values over each unit: [N] to [U]."""
        group = self.sides[side]
        return values if group is None else np.bincount(group, values, minlength=self.count)


def percentiles(values: np.ndarray, level: float) -> tuple[float, float]:
    """The two ends that leave (1 - level) / 2 of the defined values on each side."""
    values = values[~np.isnan(values)]
    if not len(values):
        return math.nan, math.nan
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def draw_values(metric: Metric, predictions: Items, weights: np.ndarray) -> np.ndarray:
    """The metric's values [D] on resamples [D, N], at once where it can."""
    values = metric.weighted(predictions, weights)
    if values is not None:
        return values
    rows = np.arange(len(predictions))
    return np.array(
        [metric(predictions.take(np.repeat(rows, w.astype(np.int64)))) for w in weights]
    )


def student(items: float, level: float) -> float:
    """How much longer Student's interval is than the normal one; not under six items."""
    tail = (1 + level) / 2
    return float(stats.t.ppf(tail, max(items, 6.0) - 1) / stats.norm.ppf(tail))
