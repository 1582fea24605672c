# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Brier score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.base import Predictions
from gradus.metrics.means import MeanMetric

if TYPE_CHECKING:
    import numpy as np


class Brier(MeanMetric):
    """Mean over items of the squared distance between probabilities and truth, over all labels.

    Brier's own form: 0 for certainty that is right, 2 for certainty that is wrong. With two labels
    it is twice the mean of (p - y)^2 that is often given under the same name. NaN without items.
    """

    name = "brier"
    unit = "squared error"
    direction = "lower"
    range = (0.0, 2.0)
    source = "Brier (1950), Verification of forecasts expressed in terms of probability"
    summary = "mean squared distance of the probabilities from the truth, summed over labels"
    needs = "probabilities"
    facts = {"form": "sum over all labels, 0 to 2"}  # noqa: RUF012  # read only, typed in the base

    def per_item(self, predictions: Predictions) -> np.ndarray:
        import numpy as np

        if predictions.log_probs is None:
            return np.full(len(predictions), np.nan)
        distance = np.exp(predictions.log_probs)
        distance[np.arange(len(predictions)), predictions.gold] -= 1.0
        return np.asarray((distance**2).sum(axis=1))
