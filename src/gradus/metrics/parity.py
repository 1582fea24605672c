# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Parity with the parent: how far a converted checkpoint has moved on the same items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.base import Predictions
from gradus.metrics.means import MeanMetric, ProportionMetric

if TYPE_CHECKING:
    import numpy as np


class ParityKl(MeanMetric):
    """Mean Kullback-Leibler divergence KL(parent || child) over items, in nats.

    Sum over labels of p_parent ln(p_parent / p_child); infinite where the child rules out what
    the parent allows. NaN without items, or where either's probabilities are missing.
    """

    name = "parity_kl"
    unit = "nats"
    direction = "lower"
    range = (0.0, float("inf"))
    source = "Kullback and Leibler (1951)"
    summary = "mean KL(parent || child) of the label probabilities"
    needs = "parent"

    def per_item(self, predictions: Predictions) -> np.ndarray:
        import numpy as np

        parent, child = predictions.parent_log_probs, predictions.log_probs
        if parent is None or child is None:
            return np.full(len(predictions), np.nan)
        with np.errstate(invalid="ignore"):
            terms = np.exp(parent) * (parent - child)
        divergence = np.where(np.isneginf(parent), 0.0, terms).sum(axis=1)
        # Rows that sum to one only up to rounding could fall below zero.
        return np.asarray(np.maximum(divergence, 0.0))


class ParityFlips(ProportionMetric):
    """Share of items whose most probable label differs from the parent's; NaN without a parent.

    The child's label is its predicted one; the parent's is its most probable, the first of equals.
    """

    name = "parity_flips"
    direction = "lower"
    source = "churn of Milani Fard et al. (2016), Launch and Iterate"
    summary = "share of items whose label differs from the parent's"
    needs = "parent"

    def successes(self, predictions: Predictions) -> np.ndarray:
        import numpy as np

        if predictions.parent_log_probs is None:
            return np.zeros(0, bool)
        return np.asarray(predictions.parent_log_probs.argmax(axis=1) != predictions.predicted)
