# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Mean absolute error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.means import MeanMetric
from gradus.metrics.numbers import Numbers

if TYPE_CHECKING:
    import numpy as np


class Mae(MeanMetric):
    """Mean absolute difference of predicted and true numbers, in their unit; NaN without items."""

    name = "mae"
    unit = "label units"
    direction = "lower"
    range = (0.0, float("inf"))
    source = "Willmott and Matsuura (2005), Advantages of the mean absolute error"
    summary = "mean absolute error, in the unit of the numbers"
    needs = "numbers"

    def per_item(self, predictions: Numbers) -> np.ndarray:
        import numpy as np

        return np.asarray(np.abs(predictions.predicted - predictions.gold))
