"""Confidence intervals for a metric's value on one set of items.

Levels. An interval is two-sided at `level` (0.95): each end leaves out 2.5 %. A gate tests in one
direction at alpha = 1 - `level`; its bound is the end of the two-sided interval at
2 `level` - 1 (0.90), see `one_sided`.

Methods, chosen by how often 95 % intervals hold the truth (bench/coverage.py; dev/LOG.md has the
table; tests/stats a smaller form):

- proportions: Wilson (1927), near 0 and 1 as Brown, Cai and DasGupta (2001) modify it; for
  `f1[label]` carried over from the share it rises with. A claim rests on Clopper and Pearson's
  bound instead: see `gradus.stats.proportions`.
- means over labels (macro precision, recall, F1; balanced accuracy): as the next but one; where
  several labels have few items, whatever reaches further of that and a beta-binomial posterior that
  takes labels for alike but not the same, see `gradus.stats.averages`.
- spans, AUROC, average precision: the interval of as many independent items as they are worth, see
  `gradus.stats.effective`.
- any other metric of labels, sets of labels or their probabilities: Bayesian bootstrap (Rubin
  1981) with pseudo-items for what was too rare to be seen, see `gradus.stats.pseudo`. Percentile
  and BCa intervals are points where no error was seen, and hold nothing.
- ECE: an inverted test, see `gradus.stats.calibration`.
- means of other numbers: studentised bootstrap (Hall 1988), which follows their skew.
- quantiles of timings: order statistics (exact, distribution-free).
- perplexities and bits of language models: a ratio of sums over documents, studentised, see
  `gradus.stats.ratios`.
- RMSE, R2, Pearson's correlation: studentised too, on a scale without ends, see
  `gradus.stats.stretched`.
- distances between distributions, which resampling itself makes larger: what it adds taken off,
  see `gradus.stats.recentred`.
- items that belong together (texts to one prompt) are drawn together, see `Items.groups`.
- the rest: BCa (Efron 1987) over resampled items, drawn out as Student's t is (Hesterberg 2015).

Where nearly all of a mean stems from items too rare to be seen, an interval can be safe or short,
not both: these err on the safe side, and near an accuracy of 1 hold the truth in 97 to 100 %.

Legend: N items, D draws, K labels, R rounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from gradus.metrics.base import Items, Metric, Observed, Predictions
from gradus.metrics.costs import TimingMetric
from gradus.metrics.counts import CountMetric
from gradus.metrics.ece import Ece
from gradus.metrics.labelsets import LabelSets
from gradus.metrics.means import MeanMetric
from gradus.metrics.ratios import RatioMetric
from gradus.stats import proportions
from gradus.stats.averages import average_interval, over_labels
from gradus.stats.draws import CHUNK, Units
from gradus.stats.draws import chunks as chunks
from gradus.stats.draws import draw_values as draw_values
from gradus.stats.draws import percentiles as percentiles
from gradus.stats.draws import resamples as resamples
from gradus.stats.draws import student as student
from gradus.stats.effective import effective_interval
from gradus.stats.proportions import wilson as wilson
from gradus.stats.pseudo import pool
from gradus.stats.ratios import ratio_interval, without_spread
from gradus.stats.recentred import recentred
from gradus.stats.stretched import stretched


@dataclass(frozen=True, slots=True)
class Interval:
    """Two-sided interval; an end that the data can't bound is infinite, an undefined one NaN."""

    low: float
    high: float
    method: str
    level: float

    def ends(self) -> tuple[float | None, float | None]:
        """Low and high for a record: None where the end isn't a finite number."""
        low = self.low if math.isfinite(self.low) else None
        return low, self.high if math.isfinite(self.high) else None


def one_sided(level: float) -> float:
    """Level of the two-sided interval whose ends are one-sided bounds at `level`.

    >>> round(one_sided(0.95), 3)
    0.9
    """
    return 2 * level - 1


def interval(
    metric: Metric,
    observed: Items | Observed,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    exact: bool = False,
) -> Interval:
    """The metric's two-sided interval on these observations, by the method that suits it.

    With `exact` a proportion gets the interval whose ends never err more often than they may;
    that is what a claim rests on. Ends are NaN where the value is; costs that are amounts (size,
    memory) have no interval (method ``none``, both ends the value).
    """
    value = metric(observed)
    if not math.isfinite(value):
        return Interval(math.nan, math.nan, "none", level)
    if isinstance(observed, Observed):
        values = metric.timings(observed) if isinstance(metric, TimingMetric) else None
        if values is None or not isinstance(metric, TimingMetric):
            return Interval(value, value, "none", level)
        return timing_interval(values, quantile=metric.quantile, level=level)
    if metric.interval == "wilson":
        shares = metric.successes(observed)
        if shares is not None:
            ends = proportions.exact if exact else proportions.shown
            low, high = ends(int(shares.sum()), len(shares), level)
            method = "Clopper-Pearson" if exact else "modified Wilson"
            return Interval(metric.of_share(low), metric.of_share(high), method, level)
    rng = np.random.default_rng(seed)
    if isinstance(metric, Ece) and isinstance(observed, Predictions):
        from gradus.stats.calibration import ece_interval

        low, high = ece_interval(metric, observed, level, draws, rng)
        return Interval(low, high, "inverted simulation", level)
    known = _known(metric, observed, level, draws, rng)
    if known is not None:
        low, high, method = known
        # A value that can't be better or worse leaves that end open.
        least, most = metric.range
        low = least if value <= least else min(low, value)
        high = most if value >= most else max(high, value)
        return Interval(*_clip(metric, low, high), method, level)
    if isinstance(observed, Predictions | LabelSets) and _weighs(metric, observed):
        low, high = _bayesian(metric, observed, value, level, draws, rng)
        method, few = "bayesian bootstrap", average_interval(metric, observed, level, draws, rng)
        if few is not None:
            low, high = min(low, few[0]), max(high, few[1])
            method = "bayesian bootstrap, beta-binomial"
        return Interval(*_clip(metric, low, high), method, level)
    if isinstance(metric, MeanMetric):
        low, high = studentised(metric.per_item(observed), level, draws, rng)
        return Interval(*_clip(metric, low, high), "studentised bootstrap", level)
    if metric.inflated:
        low, high = recentred(metric, observed, value, level, draws, rng)
        return Interval(*_clip(metric, low, high), "recentred bootstrap", level)
    low, high = _bca(metric, observed, value, level, draws, rng)
    return Interval(*_clip(metric, low, high), "BCa bootstrap", level)


def _known(
    metric: Metric, items: Items, level: float, draws: int, rng: np.random.Generator
) -> tuple[float, float, str] | None:
    """The interval of a metric whose form says how its value varies, and the method."""
    if isinstance(metric, RatioMetric):
        low, high = ratio_interval(metric, items, level, draws, rng)
        if low == high and metric.needs == "writings":
            return *without_spread(metric, items, low, level), "Clopper-Pearson"
        return low, high, "studentised bootstrap"
    ends = effective_interval(metric, items, level)
    if ends is not None:
        return *ends, "effective items"
    if isinstance(metric, MeanMetric) or isinstance(items, Predictions | LabelSets):
        return None
    ends = stretched(metric, items, level, draws, rng)
    return None if ends is None else (*ends, "studentised bootstrap")


def _weighs(metric: Metric, predictions: Predictions | LabelSets) -> bool:
    return metric.weighted(predictions, np.ones((1, len(predictions)))) is not None


def _bayesian(
    metric: Metric,
    predictions: Predictions | LabelSets,
    value: float,
    level: float,
    draws: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Percentiles of the metric under `gradus.stats.pseudo`, its bias without them taken off.

    A mean's longer tail comes from weights that are themselves skewed: exponential ones are too
    short on that side. Ends are drawn out to hold the value; a value that can't be better or worse
    leaves that end open.
    """
    mean = isinstance(metric, MeanMetric)
    items = pool(
        predictions, rng, kinds=isinstance(metric, CountMetric), even=metric.needs == "parent"
    )
    n, n_items = len(items.counts), len(predictions)

    def drawn(*, skewed: bool = False, pseudo: bool = True) -> np.ndarray:
        parts = []
        for size in chunks(draws, len(items.items)):
            weights = items.weights(size, rng, skewed=skewed)
            if not pseudo:
                weights[:, n:] = 0
            parts.append(draw_values(metric, items.items, weights))
        values = np.concatenate(parts)
        return np.asarray(values[np.isfinite(values)])

    plain, smooth = drawn(pseudo=False), drawn()
    bias = float(plain.mean()) - value if len(plain) and not mean else 0.0
    ends = [percentiles(plain, level), percentiles(smooth, level)]
    low, high = min(e[0] for e in ends) - bias, max(e[1] for e in ends) - bias
    if mean:
        wide = percentiles(drawn(skewed=True), level)
        low, high = (wide[0], high) if high - value < value - low else (low, wide[1])
    # Means over labels are of the items of each label, other metrics of all.
    wider = student(n_items / (len(predictions.labels) if over_labels(metric) else 1), level)
    low, high = value - wider * (value - low), value + wider * (high - value)
    least, most = metric.range
    return (
        least if value <= least else min(low, value),
        most if value >= most else max(high, value),
    )


def timing_interval(values: np.ndarray, *, quantile: float = 0.5, level: float = 0.95) -> Interval:
    """Interval of a quantile of timings [R] from two of them: exact for any distribution.

    The number of rounds below the true quantile is binomial, which gives the ranks (David and
    Nagaraja 2003, 7.1). With too few rounds an end stays open: 0 or infinity (a median at 95 %
    needs 6 rounds, a 95th percentile 72).
    """
    ordered, rounds = np.sort(values), len(values)
    if rounds == 0:
        return Interval(math.nan, math.nan, "order statistic", level)
    tail = (1 - level) / 2
    # Greatest r with P(X < r) <= tail, and least s with P(X >= s) <= tail, X ~ Bin(R, quantile).
    below = stats.binom.cdf(np.arange(rounds + 1), rounds, quantile)
    low_rank = int(np.searchsorted(below, tail, side="right"))
    above = stats.binom.sf(np.arange(-1, rounds), rounds, quantile)
    high_rank = int(np.argmax(above <= tail)) if (above <= tail).any() else rounds + 1
    low = float(ordered[low_rank - 1]) if low_rank >= 1 else 0.0
    high = float(ordered[high_rank - 1]) if high_rank <= rounds else math.inf
    return Interval(low, high, "order statistic", level)


def studentised(
    values: np.ndarray, level: float, draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Studentised bootstrap interval of the mean of N numbers.

    Fewer than two numbers bound nothing (-inf, inf); identical ones give a single point. Resamples
    without spread have no t and are left out.
    """
    n, mean = len(values), float(values.mean()) if len(values) else math.nan
    if n < 2 or not math.isfinite(mean):
        return -math.inf, math.inf
    centred = values - mean
    spread = math.sqrt(float((centred**2).sum()) / (n - 1) / n)
    if spread <= 1e-12 * max(abs(mean), 1e-300):
        return mean, mean
    t = np.concatenate([_t_values(centred, size, rng) for size in chunks(draws, n)])
    low_t, high_t = percentiles(t, level)
    return mean - high_t * spread, mean - low_t * spread


def _t_values(centred: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    n = len(centred)
    weights = resamples(n, draws, rng)
    means = weights @ centred / n
    variances = (weights @ centred**2 / n - means**2) / (n - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = means / np.sqrt(np.maximum(variances, 0))
    return np.asarray(t[np.isfinite(t)])


def _bca(
    metric: Metric,
    predictions: Items,
    value: float,
    level: float,
    draws: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    units = Units.of(predictions)
    n, width = units.count, len(predictions)

    def drawn(weights: np.ndarray) -> np.ndarray:
        return draw_values(metric, predictions, units.weights(weights))

    values = np.concatenate([drawn(units.resamples(s, rng)) for s in chunks(draws, width)])
    values = values[np.isfinite(values)]
    if n < 2 or not len(values):
        return -math.inf, math.inf
    share = (np.count_nonzero(values < value) + np.count_nonzero(values <= value)) / 2 / len(values)
    if not 0 < share < 1:
        return percentiles(values, level)
    left_out = np.concatenate(
        [
            drawn(1.0 - np.eye(n)[rows])
            for rows in np.array_split(np.arange(n), max(1, n * width // CHUNK))
        ]
    )
    gaps = left_out.mean() - left_out
    scale = float((gaps**2).sum()) ** 1.5
    skew = float((gaps**3).sum()) / (6 * scale) if scale > 0 else 0.0
    bias = stats.norm.ppf(share)
    # As far out as Student's t with the variance that divides by one less (Hesterberg 2015).
    far = student(n, level) * math.sqrt(n / (n - 1)) * stats.norm.ppf((1 + level) / 2)
    z = bias + np.array([-far, far])
    low, high = np.quantile(values, stats.norm.cdf(bias + z / (1 - skew * z)))
    return float(low), float(high)


def _clip(metric: Metric, low: float, high: float) -> tuple[float, float]:
    return max(low, metric.range[0]), min(high, metric.range[1])
