"""Interval for the expected calibration error.

The plug-in estimate is biased upwards: even with perfect calibration each bin shows the size of
its noise, and a resampled ECE doubles that noise. So the interval is found by inverting a test:
with the gaps of the bins scaled by s, and the noise of the bins resampled, for which s is the ECE
that was seen neither too large nor too small? Those s times the seen ECE are the interval.
"""

from __future__ import annotations

import numpy as np
from scipy import optimize

from gradus.metrics.base import Predictions
from gradus.metrics.ece import Ece


def ece_interval(
    metric: Ece, predictions: Predictions, level: float, draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Two-sided interval of the population's ECE over the same bins."""
    from gradus.stats.intervals import chunks, resamples

    n = len(predictions)
    seen = metric.sums(predictions, np.ones((1, n)))[0]
    value = float(np.abs(seen).sum())
    noise = (
        np.concatenate(
            [metric.sums(predictions, resamples(n, size, rng)) for size in chunks(draws, n)]
        )
        - seen
    )
    used = np.abs(noise).sum(axis=0) > 0
    seen, noise = seen[used], noise[:, used]
    tail = (1 - level) / 2

    def quantile(scale: float, share: float) -> float:
        return float(np.quantile(np.abs(scale * seen + noise).sum(axis=1), share)) - value

    def solve(share: float) -> float:
        if value == 0 or quantile(0.0, share) >= 0:
            return 0.0
        top = 2.0
        while quantile(top, share) < 0:
            top *= 2
        return float(optimize.brentq(quantile, 0.0, top, args=(share,), xtol=1e-4))

    return solve(1 - tail) * value, min(solve(tail) * value, metric.range[1])
