"""Studentised bootstrap on a scale without ends.

A metric between two ends is skewed near either, and how far it strays depends on where it is; a
studentised interval follows both only on a scale where its spread is nearly constant (Tibshirani
1988). The scale comes from the metric's range: log-odds between two ends (for correlations that is
twice Fisher's z), a logarithm where there is one end, the value itself where there is none. The
standard error of a resample is that of its influence values (Davison and Hinkley 1997, 2.7.2 and
5.2), so that no resample is resampled.

Legend: N items, D draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from gradus.metrics.base import Items, Metric
from gradus.stats.draws import chunks, percentiles, resamples, student


@dataclass(frozen=True, slots=True)
class Scale:
    """A range without its ends: ``to`` rises from minus to plus infinity over it."""

    least: float
    most: float

    def to(self, value: np.ndarray) -> np.ndarray:
        """Onto the scale; infinite at an end."""
        with np.errstate(divide="ignore", invalid="ignore"):
            below = np.log(value - self.least) if math.isfinite(self.least) else 0.0
            above = np.log(self.most - value) if math.isfinite(self.most) else 0.0
        free = not (math.isfinite(self.least) or math.isfinite(self.most))
        return np.asarray(value if free else below - above)

    def back(self, place: float) -> float:
        """From the scale to the value."""
        if math.isfinite(self.least) and math.isfinite(self.most):
            share = 0.5 * (1 + math.tanh(place / 2))
            return self.least + (self.most - self.least) * share
        if math.isfinite(self.least):
            return self.least + math.exp(min(place, 700.0))
        if math.isfinite(self.most):
            return self.most - math.exp(min(-place, 700.0))
        return place

    def slope(self, value: np.ndarray) -> np.ndarray:
        """How fast `to` rises."""
        with np.errstate(divide="ignore"):
            below = 1 / (value - self.least) if math.isfinite(self.least) else 0.0
            above = 1 / (self.most - value) if math.isfinite(self.most) else 0.0
        free = not (math.isfinite(self.least) or math.isfinite(self.most))
        return np.asarray(np.ones_like(value) if free else below + above)


def stretched(
    metric: Metric, items: Items, level: float, draws: int, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Two-sided interval of a metric that has `influence`; None for one that hasn't.

    Fewer than two items bound nothing (-inf, inf). Where no item moves the value, or it is at an
    end of its range, both ends are the value. Resamples without spread are left out.
    """
    n = len(items)
    ones = np.ones((1, n))
    value, moves = metric.weighted(items, ones), metric.influence(items, ones)
    if value is None or moves is None:
        return None
    if n < 2:
        return -math.inf, math.inf
    scale, seen = Scale(*metric.range), float(value[0])
    middle, error = float(scale.to(value)[0]), float(_error(scale, value, moves, ones)[0])
    if not (math.isfinite(middle) and math.isfinite(error) and error > 0):
        return seen, seen
    found = []
    for size in chunks(draws, n):
        weights = resamples(n, size, rng)
        drawn, moved = metric.weighted(items, weights), metric.influence(items, weights)
        assert drawn is not None
        assert moved is not None
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (scale.to(drawn) - middle) / _error(scale, drawn, moved, weights)
        found.append(t[np.isfinite(t)])
    low, high = percentiles(np.concatenate(found), level)
    if math.isnan(low):
        return -math.inf, math.inf
    # The tails that a standard error rests on are seldom whole in few items; n / (n - z) makes
    # up for it (Bonett 2006, for standard deviations), with Student's quantile for z.
    z = float(stats.norm.ppf((1 + level) / 2))
    error *= student(n, level) * n / max(n - z, 1.0)
    return scale.back(middle - high * error), scale.back(middle - low * error)


def _error(scale: Scale, values: np.ndarray, moves: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Standard errors [D] on the scale of values [D], from influence values and weights [D, N]."""
    n = weights.shape[1]
    with np.errstate(invalid="ignore"):
        return np.asarray(
            scale.slope(values) * np.sqrt((weights * moves**2).sum(axis=1) / n / (n - 1))
        )
