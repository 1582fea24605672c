"""How a metric grows with the number of training items, and what more of them would give.

Each point is the mean over several draws of that many items. Its interval allows for other draws
(and other seeds, which differ along with them) as well as for other items to be tested on: both
are resampled, the tested items once for all points, since all are tested on the same. A power law
with an offset is fitted through the points (Hestness et al. 2017; `gradus.stats.scaling`), and its
uncertainty comes from the same resamples.

The mean of S resampled draws spreads by (S - 1) / S too little; its deviations are drawn out by the
root of that (Davison and Hinkley 1997, section 2.2.2). From few draws their spread is known badly,
so a point's interval is as much longer as Student's is than the normal one, with the degrees of
freedom of a sum of two variances of which that of the items is known (Satterthwaite 1946). A single
draw says nothing of others: the point's interval is then of the items alone.

Legend: P points, S draws of a point, D resamples, N items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from gradus.metrics.base import Items, Metric
from gradus.stats import scaling
from gradus.stats.draws import chunks, draw_values, percentiles, resamples


@dataclass(frozen=True, slots=True)
class Point:
    """The metric at one number of training items: mean over draws, with its interval."""

    x: float
    value: float
    low: float
    high: float
    draws: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """A learning curve.

    Attributes:
        points: P of them, from few items to many.
        law: the power law through them, or in words why there is none. Its predictions are at the
            x that were asked for, their gains over the last point.
    """

    points: tuple[Point, ...]
    law: scaling.PowerLaw | str


def resampled_points(
    metric: Metric, seen: Sequence[Sequence[Items]], *, draws: int = 1000, seed: int = 0
) -> np.ndarray:
    """float64 [D, P]: the points' means on resamples of the items and of the draws.

    `seen` has for each point the items that its draws' checkpoints predicted, all the same N items
    in the same order.
    """
    rng, n = np.random.default_rng(seed), len(seen[0][0])
    parts = []
    for size in chunks(draws, n):
        weights = resamples(n, size, rng)
        columns = []
        for point in seen:
            values = np.stack([draw_values(metric, one, weights) for one in point], axis=1)
            columns.append(_redrawn(values, rng))
        parts.append(np.stack(columns, axis=1))
    return np.concatenate(parts)


def _redrawn(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[D, S] to [D]: means of S draws that are drawn again."""
    size, count = values.shape
    middle = values.mean(axis=1)
    if count == 1:
        return np.asarray(middle)
    chosen = rng.integers(0, count, size=(size, count))
    means = np.take_along_axis(values, chosen, axis=1).mean(axis=1)
    return np.asarray(middle + math.sqrt(count / (count - 1)) * (means - middle))


def _interval(
    metric: Metric, values: Sequence[float], resampled: np.ndarray, level: float
) -> tuple[float, float]:
    """Of the mean of S draws' values, from its resamples [D]; as long as S draws make it."""
    mean, count = sum(values) / len(values), len(values)
    low, high = percentiles(resampled, level)
    whole = float(np.var(resampled))
    of_draws = float(np.var(values, ddof=1)) / count if count > 1 else 0.0
    if not (of_draws > 0 and whole > 0):
        return low, high
    freedom = (count - 1) * max(1.0, whole / of_draws) ** 2
    tail = (1 + level) / 2
    far = float(stats.t.ppf(tail, freedom) / stats.norm.ppf(tail))
    least, most = metric.range
    return max(least, mean - far * (mean - low)), min(most, mean + far * (high - mean))


def curve(
    metric: Metric,
    sizes: Sequence[int],
    seen: Sequence[Sequence[Items]],
    *,
    at: Sequence[float] = (),
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Curve:
    """The learning curve through P sizes, and the law's value at `at`.

    Args:
        metric: what is plotted.
        sizes: P numbers of training items, rising.
        seen: for each the items of its draws, see `resampled_points`.
        at: where to predict.
        draws: of the bootstrap.
        seed: of the bootstrap.
        level: of the intervals.
    """
    values = [[metric(one) for one in point] for point in seen]
    means = [sum(of) / len(of) for of in values]
    resampled = resampled_points(metric, seen, draws=draws, seed=seed)
    points = tuple(
        Point(float(size), mean, *_interval(metric, of, resampled[:, i], level), tuple(of))
        for i, (size, mean, of) in enumerate(zip(sizes, means, values, strict=True))
    )
    if not all(math.isfinite(mean) for mean in means):
        return Curve(points, "the metric is undefined at some size")
    law = scaling.fit(
        sizes, means, resampled, within=metric.range, at=at, since=float(sizes[-1]), level=level
    )
    return Curve(points, law)
