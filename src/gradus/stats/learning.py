"""How a metric grows with the number of training items, and what more of them would give.

Each point is the mean over several draws of that many items. Its interval allows for other draws
(and other seeds, which differ along with them) as well as for other items to be tested on: both
are resampled, the tested items once for all points, since all are tested on the same. A power law
with an offset is fitted through the points (Hestness et al. 2017; `gradus.stats.scaling`), and its
uncertainty comes from the same resamples.

Draws are parts of one train set, so they differ less than train sets would: at a share f by the
(1 - f)th part of the variance (sampling without replacement, Cochran 1977, section 2.6), at the
whole not at all. What they have in common moves all points alike, with the variance of a train set
of N items, which is put back: the draws' own, over 1 - f, falls as 1 / n, and tells it.

The mean of S resampled draws spreads by (S - 1) / S too little; its deviations are drawn out by the
root of that (Davison and Hinkley 1997, section 2.2.2). From few draws their spread is known badly,
so a point's interval is as much longer as Student's is than the normal one, with the degrees of
freedom of a sum of two variances of which that of the items is known (Satterthwaite 1946). A single
draw says nothing of others: the point's interval is then of the items alone.

Legend: P points, S draws of a point, D resamples, N tested items.
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


def common(
    sizes: Sequence[int], values: Sequence[Sequence[float]], whole: int
) -> tuple[float, int]:
    """The standard deviation of what another train set of `whole` items would move all points by.

    From the spread of the draws of the three largest parts of it, and with what degrees of freedom;
    0 where none has two draws. What draws of the whole spread by is their seeds' doing, and left
    out.
    """
    spread = {
        size: float(np.var(of, ddof=1))
        for size, of in zip(sizes, values, strict=True)
        if len(of) > 1 and all(map(math.isfinite, of))
    }
    seeds = spread.pop(whole, 0.0)
    largest = sorted(spread)[-3:]
    if not largest:
        return 0.0, 0
    parts = [max(0.0, spread[size] - seeds) * size / (1 - size / whole) for size in largest]
    freedom = sum(len(of) - 1 for size, of in zip(sizes, values, strict=True) if size in largest)
    return math.sqrt(sum(parts) / len(parts) / whole), freedom


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
    far = _student(level, freedom)
    least, most = metric.range
    return max(least, mean - far * (mean - low)), min(most, mean + far * (high - mean))


def _student(level: float, freedom: float) -> float:
    """How much longer Student's interval is than the normal one."""
    tail = (1 + level) / 2
    return float(stats.t.ppf(tail, freedom) / stats.norm.ppf(tail))


def curve(
    metric: Metric,
    sizes: Sequence[int],
    seen: Sequence[Sequence[Items]],
    *,
    at: Sequence[float] = (),
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    whole: int | None = None,
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
        whole: items of the train set that all draws are parts of; draws are independent of one
            another when left out.
    """
    values = [[metric(one) for one in point] for point in seen]
    means = [sum(of) / len(of) for of in values]
    resampled = resampled_points(metric, seen, draws=draws, seed=seed)
    if whole is not None:
        far, freedom = common(sizes, values, whole)
        moved = np.random.default_rng([seed, 1]).normal(size=(len(resampled), 1))
        resampled = resampled + far * (_student(level, freedom) if far else 0.0) * moved
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
