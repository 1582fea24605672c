# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Hamming loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.labelsets import LabelSets
from gradus.metrics.means import MeanMetric

if TYPE_CHECKING:
    import numpy as np


class HammingLoss(MeanMetric):
    """Share of the decisions about labels that are wrong, over items and labels.

    NaN without items.
    """

    name = "hamming_loss"
    unit = "proportion"
    direction = "lower"
    range = (0.0, 1.0)
    source = "Schapire and Singer (1999), Improved boosting algorithms"
    summary = "sets of labels: share of the decisions that are wrong"
    needs = "labelsets"

    def per_item(self, predictions: LabelSets) -> np.ndarray:
        import numpy as np

        return np.asarray((predictions.gold != predictions.predicted).mean(axis=1))
