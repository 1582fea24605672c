"""Interval of one sum over another, where an item brings its share of both along.

Documents differ in length by orders of magnitude, and few of them may hold most of the text. The
bootstrap is studentised by the linearised ratio's standard error (Davison and Hinkley 1997, 2.7.2),
which follows its skew but on few uneven items is still too short; each end is therefore the more
cautious of it and of Student's t with the jackknife's standard error (Tukey 1958), as elsewhere for
differences of means. Both are taken of the ratio itself, a rate in nats, and carried over to the
perplexity or the bits that rise with it.

Where items belong together (texts to one prompt), it is their sums that are drawn.

Legend: N items, D draws.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from gradus.metrics.base import Items
from gradus.metrics.ratios import RatioMetric
from gradus.stats.draws import Units, chunks, percentiles, resamples
from gradus.stats.proportions import exact


def ratio_interval(
    metric: RatioMetric, items: Items, level: float, draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Two-sided interval of the metric's value.

    Fewer than two items that count bound nothing (-inf, inf); where all have the same ratio both
    ends are the value. Resamples without spread are left out.
    """
    units = Units.of(items)
    above, below = (units.totals(part) for part in metric.parts(items))
    whole, n = float(below.sum()), len(below)
    ratio = float(above.sum() / whole)
    rest = whole - below
    if n < 2 or not (rest > 0).all():
        return -math.inf, math.inf
    off = above - ratio * below
    error = math.sqrt(float((off**2).sum()) * n / (n - 1)) / whole
    if error <= 1e-12 * max(abs(ratio), 1e-300):
        return _carried(metric, ratio, ratio)
    t = np.concatenate([_t_values(off, below, size, rng) for size in chunks(draws, n)])
    low_t, high_t = percentiles(t, level)
    without = -off / rest  # how far the ratio moves when an item is left out
    jackknife = math.sqrt((n - 1) / n * float(((without - without.mean()) ** 2).sum()))
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * jackknife
    low, high = ratio - high_t * error, ratio - low_t * error
    if math.isnan(low):
        low = high = ratio
    return _carried(metric, min(low, ratio - half), max(high, ratio + half))


def without_spread(
    metric: RatioMetric, items: Items, value: float, level: float
) -> tuple[float, float]:
    """Two-sided interval where every unit has the same value.

    What was never seen needn't be impossible: each unit counts as one trial that came out so, and
    by Clopper and Pearson a unit may come out otherwise with some probability; where it does, it
    may be at either end of the metric's range. Where the range has no end, nothing bounds it.
    """
    below = Units.of(items).totals(metric.parts(items)[1])
    unseen = exact(0, int(np.count_nonzero(below > 0)), level)[1]
    least, most = (
        value if value == end else value + unseen * (end - value) for end in metric.range
    )
    return least, most


def _t_values(
    off: np.ndarray, below: np.ndarray, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """The finite ones of D studentised differences between a resample's ratio and the ratio.

    `off` is what each item has above, beyond what the ratio gives it: all in all 0.
    """
    n = len(off)
    weights = resamples(n, draws, rng)
    # Squares of off - moved * below, without a second array of D x N.
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = weights @ below
        moved = weights @ off / whole
        squares = weights @ off**2 - 2 * moved * (weights @ (off * below))
        squares += moved**2 * (weights @ below**2)
        t = moved * whole / np.sqrt(np.maximum(squares, 0) * n / (n - 1))
    return np.asarray(t[np.isfinite(t)])


def _carried(metric: RatioMetric, low: float, high: float) -> tuple[float, float]:
    ends = metric.of_ratio(np.array([low, high]))
    return float(ends[0]), float(ends[1])
