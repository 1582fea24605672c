# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Spearman's correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.correlation import CorrelationMetric, correlation, ranks
from gradus.metrics.numbers import Numbers

if TYPE_CHECKING:
    import numpy as np


class Spearman(CorrelationMetric):
    """Correlation of the ranks of true and predicted numbers; NaN where either doesn't vary.

    Equal numbers share their mean rank.
    """

    name = "spearman"
    source = "Spearman (1904), The proof and measurement of association between two things"
    summary = "correlation of the ranks of true and predicted numbers"

    def weighted(self, predictions: Numbers, weights: np.ndarray) -> np.ndarray:
        gold, predicted = (ranks(v, weights) for v in (predictions.gold, predictions.predicted))
        return correlation(gold, predicted, weights)
