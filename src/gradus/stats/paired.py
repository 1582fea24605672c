"""Two checkpoints on the same items: exact McNemar, Tango's interval, paired bootstraps.

Every test here is one-sided at alpha = 1 - `level`: `low` and `high` of a `Comparison` are the two
one-sided bounds at `level`, i.e. the two-sided interval at 2 `level` - 1. A claim "better than"
rests on `low`, a claim "worse than" on `high`; each on its own is wrong with probability alpha.

Legend: N shared items, D draws, R rounds; b items that only the first gets right, c items that
only the second gets right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from gradus.metrics.base import Items, Metric, Predictions
from gradus.metrics.counts import CountMetric, Counts
from gradus.metrics.means import MeanMetric
from gradus.stats.draws import Units
from gradus.stats.intervals import (
    chunks,
    draw_values,
    one_sided,
    percentiles,
    studentised,
)
from gradus.stats.proportions import exact


@dataclass(frozen=True, slots=True)
class Comparison:
    """A difference (or ratio) with its one-sided bounds; infinite ends bound nothing."""

    value: float
    low: float
    high: float
    method: str


def mcnemar(b: int, c: int) -> float:
    """One-sided p-value of McNemar's exact test that the first is better.

    P(X >= b) for X ~ Bin(b + c, 1/2); 1 where no item is discordant. Liddell (1983).
    """
    return float(stats.binom.sf(b - 1, b + c, 0.5)) if b + c else 1.0


def restricted(share_b: float, share_c: float, difference: float) -> float:
    """Maximum-likelihood share of c-items where the true difference is given; Tango (1998)."""
    linear = -share_b - share_c + (2 - share_b + share_c) * difference
    constant = -share_c * difference * (1 - difference)
    root = math.sqrt(max(linear * linear - 8 * constant, 0.0))
    return max((root - linear) / 4, 0.0, -difference)


def tango(b: int, c: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Tango's (1998) two-sided score interval for the difference of paired proportions (b - c) / n.

    The set of differences that the score test at this level doesn't reject. Keeps its width where
    b + c = 0. NaN for n = 0.
    """
    if n == 0:
        return math.nan, math.nan
    z = float(stats.norm.ppf((1 + level) / 2))
    seen = (b - c) / n

    def excess(difference: float) -> float:
        share = restricted(b / n, c / n, difference)
        variance = max(2 * share + difference * (1 - difference), 0.0) / n
        return (seen - difference) - math.copysign(z, seen - difference) * math.sqrt(variance)

    tiny = 1e-12
    low = -1.0 if b == 0 and c == n else optimize.brentq(excess, -1.0, seen - tiny, xtol=1e-12)
    high = 1.0 if c == 0 and b == n else optimize.brentq(excess, seen + tiny, 1.0, xtol=1e-12)
    return float(low), float(high)


def proportions(first: np.ndarray, second: np.ndarray, level: float = 0.95) -> Comparison:
    """Difference of two proportions on the same items (bool [N] each), Tango's bounds."""
    b, c = int((first & ~second).sum()), int((~first & second).sum())
    n = len(first)
    low, high = tango(b, c, n, one_sided(level))
    # With discordant items of one kind only the score test is a little too eager (6 % instead of
    # 5 on 300 items); the exact bound of that kind's share holds whatever the other's.
    if n and b == 0:
        low = min(low, -exact(c, n, one_sided(level))[1])
    if n and c == 0:
        high = max(high, exact(b, n, one_sided(level))[1])
    return Comparison((b - c) / n if n else math.nan, low, high, "Tango's score interval")


def bootstrap(
    metric: Metric,
    first: Items,
    second: Items,
    *,
    factor: float = 1.0,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Comparison:
    """value(first) - factor value(second), both on the same resampled rows, N aligned items.

    Items that belong together (`Items.groups`) are drawn and swapped together; the sides may then
    have different numbers of items in a group.

    By the metric's nature as in `gradus.stats.intervals`: studentised for means, Bayesian with one
    discordant item either way for functions of the counts, percentile for the rest. On few items a
    bootstrap of differences claims too much (log-loss on 100 items: 10 % instead of 5), so each
    bound is the more cautious of the bootstrap's and of a second method: Student's t for means,
    for the rest the swap test (`_swapped`), which is exact where the checkpoints are exchangeable
    and needs `factor` 1. A single item bounds nothing. Draws in which the metric is undefined are
    left out.
    """
    first, second = metric.viewed(first), metric.viewed(second)
    rng, two_sided, units = np.random.default_rng(seed), one_sided(level), Units.of(first, second)
    n = units.count
    value = metric(first) - factor * metric(second)
    if n < 2 or not math.isfinite(value):
        return Comparison(value, -math.inf, math.inf, "paired bootstrap")
    if isinstance(metric, MeanMetric):
        gaps = metric.per_item(first) - factor * metric.per_item(second)
        low, high = studentised(gaps, two_sided, draws, rng)
        half = float(stats.t.ppf(level, n - 1) * gaps.std(ddof=1) / math.sqrt(n))
        low, high = min(low, value - half), max(high, value + half)
        if high - low < 1e-12:
            low = high = value
        return Comparison(value, low, high, "paired studentised bootstrap")
    parts = []
    for size in chunks(draws, max(len(first), len(second))):
        if (
            isinstance(metric, CountMetric)
            and isinstance(first, Predictions)
            and isinstance(second, Predictions)
        ):
            one, two = posterior_counts((first, second), size, rng)
            parts.append(metric.of_counts(one) - factor * metric.of_counts(two))
            continue
        drawn = units.resamples(size, rng)
        one_of, two_of = units.weights(drawn, 0), units.weights(drawn, 1)
        parts.append(
            draw_values(metric, first, one_of) - factor * draw_values(metric, second, two_of)
        )
    values = np.concatenate(parts)
    if metric.inflated and np.isfinite(values).any():
        # What drawing adds to either side doesn't cancel where the two differ.
        values = values + (value - np.nanmean(values))
    low, high = percentiles(values, two_sided)
    if factor == 1.0:
        below, above = _swapped(metric, first, second, level, draws, rng)
        low, high = min(low, value - above), max(high, value - below)
    kind = "paired bayesian bootstrap" if isinstance(metric, CountMetric) else "paired bootstrap"
    return Comparison(value, min(low, value), max(high, value), kind)


def posterior_counts(
    predictions: tuple[Predictions, ...],
    draws: int,
    rng: np.random.Generator,
) -> list[Counts]:
    """Counts [D, K] of one or two checkpoints on the same items under Bayesian-bootstrap weights.

    Two items of weight Gamma(1/2) are added: one that the first checkpoint gets right and the
    other (or, alone, the first) wrong, and the reverse. Their labels are drawn anew each time
    from those that occur.
    """
    n = len(predictions[0])
    weights = rng.standard_exponential((draws, n))
    counts = [Counts.weighted(p, weights) for p in predictions]
    present = np.unique(np.concatenate([predictions[0].gold, *(p.predicted for p in predictions)]))
    if len(present) < 2:
        present = np.unique(np.append(present, (present[-1] + 1) % len(predictions[0].labels)))
    rows = np.arange(draws)
    for right in (0, 1):
        mass = rng.standard_gamma(0.5, draws)
        gold = predictions[0].gold[rng.integers(0, n, draws)]
        step = rng.integers(1, max(len(present), 2), draws)
        wrong = present[(np.searchsorted(present, gold) + step) % len(present)]
        for index, count in enumerate(counts):
            count.gold[rows, gold] += mass
            if index == right:
                count.hits[rows, gold] += mass
            count.predicted[rows, gold if index == right else wrong] += mass
    return counts


def _swapped(
    metric: Metric,
    first: Items,
    second: Items,
    level: float,
    draws: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """The difference's alpha and 1 - alpha quantiles where each item's two predictions are swapped.

    The paired permutation test: were the two checkpoints exchangeable, the difference seen would
    be one draw of these. Ends are taken outwards by a rounding error, so that a tie is no claim.
    """
    units = Units.of(first, second)
    both = first.joined(second)
    parts = []
    for size in chunks(draws, len(both)):
        swap = rng.integers(0, 2, (size, units.count)).astype(np.float64)
        one, two = units.exchanged(swap)
        parts.append(draw_values(metric, both, one) - draw_values(metric, both, two))
    values = np.concatenate(parts)
    values = values[~np.isnan(values)]
    if not len(values):
        return -math.inf, math.inf
    below = float(np.quantile(values, 1 - level, method="lower"))
    return below - 1e-12, float(np.quantile(values, level, method="higher")) + 1e-12


def timings(
    first: np.ndarray,
    second: np.ndarray,
    *,
    quantile: float = 0.5,
    factor: float | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Quantiles of two series of timings compared by bootstrap over rounds.

    Without `factor` their ratio first / second, with it the difference first - factor second.
    Series of equal length were taken in turns: round i of both is resampled together, so that what
    slows a whole round down cancels. Series of different lengths are resampled apart. Fewer than
    six rounds bound nothing (see `gradus.stats.intervals.timing_interval`).
    """
    rng, rounds = np.random.default_rng(seed), len(first)

    def combine(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        return np.asarray(one / two if factor is None else one - factor * two)

    value = float(combine(np.quantile(first, quantile), np.quantile(second, quantile)))
    if min(rounds, len(second)) < 6:
        return Comparison(value, -math.inf, math.inf, "bootstrap over rounds")
    parts = []
    for size in chunks(draws, max(rounds, len(second))):
        rows = rng.integers(0, rounds, (size, rounds))
        others = (
            rows if len(second) == rounds else rng.integers(0, len(second), (size, len(second)))
        )
        parts.append(
            combine(
                np.quantile(first[rows], quantile, axis=1),
                np.quantile(second[others], quantile, axis=1),
            )
        )
    low, high = percentiles(np.concatenate(parts), one_sided(level))
    return Comparison(value, low, high, "bootstrap over rounds")
