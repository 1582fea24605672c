# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Coefficient of determination."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.base import Metric
from gradus.metrics.counts import ratio
from gradus.metrics.numbers import Numbers

if TYPE_CHECKING:
    import numpy as np


class R2(Metric):
    """Share of the true numbers' variance that the predictions explain.

    1 - sum of squared errors / sum of squared distances from the mean of these items: 0 for their
    mean, below 0 for worse. NaN where the true numbers don't vary.
    """

    name = "r2"
    unit = "proportion"
    direction = "higher"
    range = (float("-inf"), 1.0)
    source = "Wright (1921), Correlation and causation"
    summary = "share of the variance explained; 0 for the mean, below 0 for worse"
    needs = "numbers"

    def __call__(self, observed: Numbers) -> float:
        import numpy as np

        return float(self.weighted(observed, np.ones((1, len(observed))))[0])

    def weighted(self, predictions: Numbers, weights: np.ndarray) -> np.ndarray:
        import numpy as np

        if not len(predictions):
            return np.full(len(weights), np.nan)
        gold = predictions.gold - predictions.gold.mean()
        errors = weights @ (predictions.predicted - predictions.gold) ** 2
        squares, total = weights @ gold**2, weights.sum(axis=1)
        spread = squares - (weights @ gold) ** 2 / total
        # All the weight on equal numbers: what rounding leaves of their spread is none.
        return 1 - ratio(errors, np.where(spread > 1e-12 * squares, spread, np.nan))

    def influence(self, predictions: Numbers, weights: np.ndarray) -> np.ndarray:
        import numpy as np

        gold, total = predictions.gold, weights.sum(axis=1)
        away = (gold - (weights @ gold / total)[:, None]) ** 2
        errors = (predictions.predicted - gold) ** 2
        lost = 1 - self.weighted(predictions, weights)
        spread = (weights * away).sum(axis=1) / total
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((lost[:, None] * away - errors) / spread[:, None])
