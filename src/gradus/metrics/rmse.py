# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Root mean squared error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.base import Metric
from gradus.metrics.numbers import Numbers

if TYPE_CHECKING:
    import numpy as np


class Rmse(Metric):
    """Root of the mean squared difference of predicted and true numbers, in their unit.

    NaN without items.
    """

    name = "rmse"
    unit = "label units"
    direction = "lower"
    range = (0.0, float("inf"))
    source = "Gauss (1809), Theoria motus; the standard error of the field"
    summary = "root of the mean squared error, in the unit of the numbers"
    needs = "numbers"

    def __call__(self, observed: Numbers) -> float:
        import numpy as np

        return float(self.weighted(observed, np.ones((1, len(observed))))[0])

    def weighted(self, predictions: Numbers, weights: np.ndarray) -> np.ndarray:
        import numpy as np

        squares = (predictions.predicted - predictions.gold) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.sqrt(weights @ squares / weights.sum(axis=1)))

    def influence(self, predictions: Numbers, weights: np.ndarray) -> np.ndarray:
        import numpy as np

        squares = (predictions.predicted - predictions.gold) ** 2
        value = self.weighted(predictions, weights)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((squares - value**2) / (2 * value))
