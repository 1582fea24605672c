# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Accuracy of the k most probable labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradus.metrics.base import Predictions
from gradus.metrics.means import ProportionMetric

if TYPE_CHECKING:
    import numpy as np


class Top3Accuracy(ProportionMetric):
    """Share of items whose true label is among the three most probable ones.

    Of equally probable labels the first in label order comes first. 1 with up to three labels;
    NaN without items or without probabilities.
    """

    name = "top_3_accuracy"
    direction = "higher"
    source = "top-k error of Russakovsky et al. (2015), ImageNet; its complement"
    summary = "share of items with the true label among the three most probable"
    needs = "probabilities"
    most: ClassVar[int] = 3

    def successes(self, predictions: Predictions) -> np.ndarray:
        import numpy as np

        if predictions.log_probs is None:
            return np.zeros(0, bool)
        rows, gold = predictions.log_probs, predictions.gold
        own = rows[np.arange(len(rows)), gold][:, None]
        earlier = np.arange(rows.shape[1]) < gold[:, None]
        before = (rows > own) | ((rows == own) & earlier)
        return np.asarray(before.sum(axis=1) < self.most)


class Top5Accuracy(Top3Accuracy):
    """Share of items whose true label is among the five most probable ones; as `top_3_accuracy`."""

    name = "top_5_accuracy"
    summary = "share of items with the true label among the five most probable"
    most: ClassVar[int] = 5
