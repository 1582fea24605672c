# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Precision of sets of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.counts import Counts, ratio
from gradus.metrics.setcounts import SetCountMetric

if TYPE_CHECKING:
    import numpy as np


class MultilabelPrecisionMicro(SetCountMetric):
    """Of all labels that are said of all items, the share that is true; NaN where none is said."""

    name = "multilabel_precision_micro"
    source = "Yang (1999), An evaluation of statistical approaches to text categorization"
    summary = "sets of labels: of the labels said, the share that is true"

    def of_counts(self, counts: Counts) -> np.ndarray:
        return ratio(counts.hits.sum(axis=-1), counts.predicted.sum(axis=-1))
