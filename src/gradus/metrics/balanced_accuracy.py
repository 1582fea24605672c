# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Balanced accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.counts import CountMetric, Counts, ratio

if TYPE_CHECKING:
    import numpy as np


class BalancedAccuracy(CountMetric):
    """Mean recall over the labels that occur among the true ones; NaN without items.

    As in scikit-learn, labels that are only predicted are left out, and there is no adjustment
    for chance.
    """

    name = "balanced_accuracy"
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = "Brodersen et al. (2010), The balanced accuracy and its posterior distribution"
    summary = "mean recall over the labels"

    def of_counts(self, counts: Counts) -> np.ndarray:
        import numpy as np

        recalls = counts.hits / np.where(counts.gold > 0, counts.gold, 1)
        return ratio(recalls.sum(axis=-1), (counts.gold > 0).sum(axis=-1))

    def trials(self, counts: Counts) -> np.ndarray:
        return counts.gold
