"""Interval for the expected calibration error.

The plug-in estimate is biased upwards: even with perfect calibration each bin shows the size of
its noise, and a resampled ECE doubles that noise. So the interval is found by inverting a test:
with the bins' shares of right items moved from the mean probability by s times the gap that was
seen, for which s is an ECE as large, or as small, as the one seen not too rare? At s = 0 this is
the test of calibration by consistency resampling (Broecker and Smith 2007). The ECE at those s is
the interval.

Of which bins are off how far relatively, two shapes are tried, the gaps as seen and without most of
their noise; either end is the farther one.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, stats

from gradus.metrics.base import Predictions
from gradus.metrics.ece import BINS, Ece
from gradus.stats.draws import student

FARTHEST = 1e6
"""Scale at which every bin's share has long reached 0 or 1."""

ROUNDING = 1e-9


def ece_interval(
    metric: Ece, predictions: Predictions, level: float, draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Two-sided interval of the population's ECE over the same bins.

    It is the L1 error itself for the debiased metric as well, which is only another estimate of it.
    """
    n = len(predictions)
    bins, gap = metric.gaps(predictions)
    sizes = np.bincount(bins, minlength=BINS)
    used = sizes > 0
    sizes = sizes[used]
    right = predictions.gold == predictions.predicted
    shares = np.bincount(bins, right, BINS)[used] / sizes
    sure = shares + np.bincount(bins, gap, BINS)[used] / sizes
    # One item more, half of it wrong, spread over the bins: where nothing was wrong, the truth may
    # still lie well below, and s must be able to reach it.
    aim = (shares + 0.5 / n) / (1 + 1 / n)
    shapes = (_shape(sure - aim, sure, sizes), sure - aim)
    value = float(metric.of_bins(sizes, sure, sizes * shares))
    # As far out as Student's t with the variance that divides by one less (Hesterberg 2015).
    far = student(n, level) * math.sqrt(n / max(n - 1, 1))
    tail = float(stats.norm.sf(far * stats.norm.ppf((1 + level) / 2)))
    seed = int(rng.integers(2**63))
    drawn = metric.drawn(sizes, draws, rng)

    def truth(scale: float, shape: np.ndarray) -> np.ndarray:
        return np.clip(sure - scale * shape, 0.0, 1.0)

    def excess(scale: float, share: float, shape: np.ndarray) -> float:
        """Quantile of the ECE at this scale, less the ECE seen; the same draws at every scale."""
        found = np.random.default_rng(seed).binomial(drawn, truth(scale, shape))
        errors = metric.of_bins(drawn, sure, found)
        return float(np.quantile(errors, share)) - value

    def farthest(shape: np.ndarray) -> float:
        """The greatest ECE of this shape, reached once every bin's share is 0 or 1.

        It bounds the interval where the test refuses no scale: of 100 items that are all right at
        0.9 the ECE is 0.1, and with every item of the population right it would be no greater.
        How many items a bin has is drawn.
        """
        masses = np.random.default_rng(seed).multinomial(n, sizes / n, draws)
        errors = masses @ np.abs(sure - truth(FARTHEST, shape)) / n
        return float(np.quantile(errors, 1 - tail))

    def solve(share: float, slack: float, shape: np.ndarray) -> float:
        """The ECE at the scale where the quantile passes the value; equal ones aren't past it."""
        if excess(0.0, share, shape) + slack >= 0:
            return 0.0
        top = 2.0
        while excess(top, share, shape) + slack < 0:
            if top > FARTHEST:
                return farthest(shape)
            top *= 2
        scale = optimize.bisect(
            lambda s: excess(s, share, shape) + slack, 0.0, top, rtol=1e-3, xtol=1e-3 * top
        )
        return float((sizes * np.abs(sure - truth(float(scale), shape))).sum() / n)

    low = min(solve(1 - tail, ROUNDING, shape) for shape in shapes)
    high = max(solve(tail, -ROUNDING, shape) for shape in shapes)
    return low, min(max(high, value), metric.range[1])


def _shape(gaps: np.ndarray, sure: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The bins' gaps without most of their noise: which bins are off how far, relatively.

    Gaps are drawn towards their common mean by as much as their spread is no more than chance
    (DerSimonian and Laird 1986; Efron and Morris 1973). Noise taken for a shape makes some bins'
    gaps small where all are alike, and the noise that they then show is taken off once more.
    """
    share = np.clip(sizes * (sure - gaps) + sure, 0.5, sizes + 0.5) / (sizes + 1)
    noise = share * (1 - share) / sizes
    weight = 1 / noise
    mean = float((weight * gaps).sum() / weight.sum())
    excess = float((weight * (gaps - mean) ** 2).sum()) - (len(gaps) - 1)
    room = float(weight.sum() - (weight**2).sum() / weight.sum())
    spread = max(0.0, excess / room) if room > 0 else 0.0
    kept = mean + (gaps - mean) * spread / (spread + noise)
    # A little of the gaps as seen, so that there is a shape where the mean is none.
    return np.asarray(0.95 * kept + 0.05 * gaps)
