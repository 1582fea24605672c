# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Metrics that are the mean of one number an item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradus.metrics.base import Metric

if TYPE_CHECKING:
    import numpy as np


class MeanMetric(Metric):
    """The mean over items of `per_item`; NaN without items."""

    def per_item(self, predictions: Any) -> np.ndarray:
        """float64 [N], the number whose mean is the value."""
        raise NotImplementedError

    def __call__(self, observed: Any) -> float:
        values = self.per_item(observed)
        return float(values.mean()) if len(values) else float("nan")

    def weighted(self, predictions: Any, weights: np.ndarray) -> np.ndarray:
        import numpy as np

        sums: np.ndarray = weights @ self.per_item(predictions)
        return np.asarray(sums / weights.sum(axis=-1))


class ProportionMetric(MeanMetric):
    """The share of items for which `successes` holds."""

    unit = "proportion"
    range = (0.0, 1.0)
    interval = "wilson"

    def successes(self, predictions: Any) -> np.ndarray:
        raise NotImplementedError

    def per_item(self, predictions: Any) -> np.ndarray:
        import numpy as np

        return self.successes(predictions).astype(np.float64)

    def __call__(self, observed: Any) -> float:
        import numpy as np

        hits = self.successes(observed)
        return float(np.count_nonzero(hits) / len(hits)) if len(hits) else float("nan")
