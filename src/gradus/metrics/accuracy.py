# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.base import Predictions
from gradus.metrics.means import ProportionMetric

if TYPE_CHECKING:
    import numpy as np


class Accuracy(ProportionMetric):
    """Share of items whose predicted label is the true one; NaN without items."""

    name = "accuracy"
    direction = "higher"
    source = "ISO 5725-1:1994 in the use of the field; interval: Wilson (1927)"
    summary = "share of items with the right label"
    needs = "labels"

    def successes(self, predictions: Predictions) -> np.ndarray:
        right: np.ndarray = predictions.gold == predictions.predicted
        return right
