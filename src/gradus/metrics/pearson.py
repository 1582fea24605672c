# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Pearson's correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.correlation import CorrelationMetric, correlation, influence
from gradus.metrics.numbers import Numbers

if TYPE_CHECKING:
    import numpy as np


class Pearson(CorrelationMetric):
    """Product-moment correlation of true and predicted numbers; NaN where either doesn't vary."""

    name = "pearson"
    source = "Pearson (1895), Note on regression and inheritance"
    summary = "linear correlation of true and predicted numbers"

    def weighted(self, predictions: Numbers, weights: np.ndarray) -> np.ndarray:
        return correlation(predictions.gold, predictions.predicted, weights)

    def influence(self, predictions: Numbers, weights: np.ndarray) -> np.ndarray:
        value = self.weighted(predictions, weights)
        return influence(predictions.gold, predictions.predicted, weights, value)
