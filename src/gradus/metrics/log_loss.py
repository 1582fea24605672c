# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Log-loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.base import Predictions
from gradus.metrics.means import MeanMetric

if TYPE_CHECKING:
    import numpy as np


class LogLoss(MeanMetric):
    """Mean of -ln p(true label), in nats; NaN without items.

    A probability below float64's machine epsilon counts as that (at most 36.04 nats an item), the
    convention of scikit-learn.
    """

    name = "log_loss"
    unit = "nats"
    direction = "lower"
    range = (0.0, 36.05)
    source = "Good (1952), Rational Decisions"
    summary = "mean negative natural logarithm of the true label's probability"
    needs = "probabilities"

    def per_item(self, predictions: Predictions) -> np.ndarray:
        import numpy as np

        if predictions.log_probs is None:
            return np.full(len(predictions), np.nan)
        log_p = predictions.log_probs[np.arange(len(predictions)), predictions.gold]
        return np.asarray(-np.maximum(log_p, np.log(np.finfo(np.float64).eps)))
