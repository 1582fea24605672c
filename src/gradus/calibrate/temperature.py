"""The temperature under which a checkpoint's probabilities are most likely (Guo et al. 2017).

With b = 1 / T the mean of -ln p(true) is convex in b, whether p is a softmax of b times logits or a
sigmoid: its derivative rises, and where that is 0 is found by bisection in float64.

Legend: N rows (texts, words, or decisions), K outputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

    from gradus.records import Target

LEAST: Final = 0.01
MOST: Final = 100.0
LOWEST: Final = -80.0
"""Nats: an output that a checkpoint excludes is taken to be as probable as e^-80."""


def fit_temperature(rows: np.ndarray, gold: np.ndarray, target: Target) -> float | None:
    """The maximum-likelihood temperature of log-probabilities [N, K].

    `gold` is int64 [N], or bool [N, K] with target ``labels``. None where there is none between
    0.01 and 100: nothing is ever wrong, so that being surer always is better, or nothing is known.
    """
    import numpy as np
    from scipy.optimize import brentq

    if not len(rows):
        return None
    clipped = np.maximum(np.asarray(rows, dtype=np.float64), LOWEST)

    def slope(log_b: float) -> float:
        return _slope(clipped, gold, target, float(np.exp(log_b)))

    low, high = np.log(1 / MOST), np.log(1 / LEAST)
    if slope(low) >= 0 or slope(high) <= 0:
        return None
    return float(np.exp(-brentq(slope, low, high, xtol=1e-12, rtol=1e-12)))


def _slope(rows: np.ndarray, gold: np.ndarray, target: Target, b: float) -> float:
    """The derivative of the mean of -ln p(true) by b."""
    import numpy as np
    from scipy.special import expit, softmax

    if target == "labels":
        logits = rows - np.log(-np.expm1(np.minimum(rows, -1e-16)))
        return float(((expit(b * logits) - gold) * logits).mean())
    expected = (softmax(b * rows, axis=1) * rows).sum(axis=1)
    return float((expected - rows[np.arange(len(rows)), gold]).mean())
