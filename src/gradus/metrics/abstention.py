# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Metrics of a classifier that abstains where it isn't sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.base import Predictions
from gradus.metrics.means import ProportionMetric

if TYPE_CHECKING:
    import numpy as np

_SOURCE = "El-Yaniv and Wiener (2010), On the Foundations of Noise-free Selective Classification"


class Coverage(ProportionMetric):
    """The share of items that are answered; 1 for a checkpoint that never abstains."""

    name = "coverage"
    direction = "higher"
    source = _SOURCE
    summary = "share of items on which the checkpoint doesn't abstain"
    needs = "labels"

    def successes(self, predictions: Predictions) -> np.ndarray:
        return answered(predictions)


class SelectiveAccuracy(ProportionMetric):
    """The share of right labels among the items that are answered; NaN where none is.

    One less the selective risk. Two checkpoints answer different items, so that they aren't
    compared item by item.
    """

    name = "selective_accuracy"
    direction = "higher"
    source = _SOURCE
    summary = "accuracy on the items on which the checkpoint doesn't abstain"
    needs = "labels"
    paired = False

    def successes(self, predictions: Predictions) -> np.ndarray:
        found: np.ndarray = predictions.right()[answered(predictions)]
        return found

    def weighted(self, predictions: Predictions, weights: np.ndarray) -> np.ndarray:
        import numpy as np

        said = answered(predictions)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = weights @ (said & predictions.right()) / (weights @ said)
        return np.asarray(found)


def answered(predictions: Predictions) -> np.ndarray:
    """bool [N]."""
    import numpy as np

    said = predictions.answered
    return np.ones(len(predictions), dtype=bool) if said is None else said
