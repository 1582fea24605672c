# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Metrics of sets of labels that are made of counts by label.

Legend: N items, K labels, D weightings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.base import Metric
from gradus.metrics.counts import Counts
from gradus.metrics.labelsets import LabelSets

if TYPE_CHECKING:
    import numpy as np


class SetCountMetric(Metric):
    """A function of how often each label is true, is said, and is both."""

    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    needs = "labelsets"

    def of_counts(self, counts: Counts) -> np.ndarray:
        """The values [...] of counts [..., K]; NaN where undefined."""
        raise NotImplementedError

    def trials(self, counts: Counts) -> np.ndarray | None:
        """As `CountMetric.trials`."""
        return None

    def __call__(self, observed: LabelSets) -> float:
        import numpy as np

        return float(self.weighted(observed, np.ones((1, len(observed))))[0])

    def weighted(self, predictions: LabelSets, weights: np.ndarray) -> np.ndarray:
        gold, predicted = predictions.gold.astype(float), predictions.predicted.astype(float)
        return self.of_counts(
            Counts(weights @ (gold * predicted), weights @ gold, weights @ predicted)
        )
