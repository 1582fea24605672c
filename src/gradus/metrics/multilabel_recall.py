# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Recall of sets of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.counts import Counts, ratio
from gradus.metrics.setcounts import SetCountMetric

if TYPE_CHECKING:
    import numpy as np


class MultilabelRecallMicro(SetCountMetric):
    """Of all labels that are true of all items, the share that is said; NaN where none is true."""

    name = "multilabel_recall_micro"
    source = "Yang (1999), An evaluation of statistical approaches to text categorization"
    summary = "sets of labels: of the labels that are true, the share that is said"

    def of_counts(self, counts: Counts) -> np.ndarray:
        return ratio(counts.hits.sum(axis=-1), counts.gold.sum(axis=-1))
