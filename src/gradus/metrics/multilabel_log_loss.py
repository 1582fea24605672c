# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Log-loss of sets of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.labelsets import LabelSets
from gradus.metrics.means import MeanMetric

if TYPE_CHECKING:
    import numpy as np


class MultilabelLogLoss(MeanMetric):
    """Mean over items and labels of -ln of what the checkpoint gives the truth; NaN without items.

    Each label of each item is a decision between two outcomes. A probability below float64's
    machine epsilon counts as that, as in `log_loss`.
    """

    name = "multilabel_log_loss"
    unit = "nats"
    direction = "lower"
    range = (0.0, 36.05)
    source = "Good (1952), Rational Decisions; the mean of the labels' binary log-losses"
    summary = "sets of labels: mean binary log-loss of all decisions"
    needs = "labelset probabilities"

    def per_item(self, predictions: LabelSets) -> np.ndarray:
        import numpy as np

        probability = np.exp(predictions.log_probs)
        right = np.where(predictions.gold, probability, -np.expm1(predictions.log_probs))
        losses = -np.log(np.maximum(right, np.finfo(np.float64).eps))
        return np.asarray(losses.mean(axis=1))
