# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Subset accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.labelsets import LabelSets
from gradus.metrics.means import ProportionMetric

if TYPE_CHECKING:
    import numpy as np


class SubsetAccuracy(ProportionMetric):
    """Share of items whose predicted set of labels is exactly the true one; NaN without items."""

    name = "subset_accuracy"
    direction = "higher"
    source = "Tsoumakas et al. (2010), Mining multi-label data; also called exact match"
    summary = "sets of labels: share of items whose set is exactly right"
    needs = "labelsets"

    def successes(self, predictions: LabelSets) -> np.ndarray:
        return predictions.right()
