# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Correlations of true and predicted numbers.

Legend: N items, D weightings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.base import Metric
from gradus.metrics.numbers import Numbers
from gradus.metrics.ranking import running, tied

if TYPE_CHECKING:
    import numpy as np


class CorrelationMetric(Metric):
    """Base of `pearson` and `spearman`: a correlation under weightings of the items."""

    unit = "correlation"
    direction = "higher"
    range = (-1.0, 1.0)
    needs = "numbers"

    def __call__(self, observed: Numbers) -> float:
        import numpy as np

        return float(self.weighted(observed, np.ones((1, len(observed))))[0])

    def weighted(self, predictions: Numbers, weights: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def correlation(one: np.ndarray, two: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Product-moment correlations [D] of [N] or [D, N] numbers under weights [D, N].

    NaN where either side doesn't vary.
    """
    import numpy as np

    total = weights.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Centred without weights first, so that a great mean doesn't eat up the digits.
        x, y = (v - v.mean(axis=-1, keepdims=True) for v in (one, two))
        x = x - (weights * x).sum(axis=1, keepdims=True) / total
        y = y - (weights * y).sum(axis=1, keepdims=True) / total
        covariance = (weights * x * y).sum(axis=1)
        spread_x, spread_y = (weights * x**2).sum(axis=1), (weights * y**2).sum(axis=1)
        flat = (spread_x <= 1e-24 * (weights * one**2).sum(axis=1)) | (
            spread_y <= 1e-24 * (weights * two**2).sum(axis=1)
        )
        value = covariance / np.sqrt(spread_x * spread_y)
    return np.where(flat, np.nan, np.clip(value, -1.0, 1.0))


def influence(
    one: np.ndarray, two: np.ndarray, weights: np.ndarray, value: np.ndarray
) -> np.ndarray:
    """How far each item moves the correlation [D] of [N] numbers: float64 [D, N].

    With both sides standardised as x and y it is x y - value (x^2 + y^2) / 2 (Devlin, Gnanadesikan
    and Kettenring 1975).
    """
    import numpy as np

    total = weights.sum(axis=1)
    sides = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for side in (one - one.mean(), two - two.mean()):
            away = side - (weights @ side / total)[:, None]
            variance = (weights * away**2).sum(axis=1) / total
            sides.append(away / np.sqrt(variance)[:, None])
    x, y = sides
    return np.asarray(x * y - value[:, None] * (x**2 + y**2) / 2)


def ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean ranks [D, N] less one half of values [N], each repeated `weights` [D, N] times."""
    import numpy as np

    order, start, end = tied(values)
    sums = running(weights.T[order])
    found = np.empty(weights.T.shape)
    found[order] = (sums[start] + sums[end]) / 2
    return np.ascontiguousarray(found.T)
