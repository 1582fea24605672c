# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Recall: of the items that have a label, the share predicted as it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.accuracy import Accuracy
from gradus.metrics.base import Predictions
from gradus.metrics.counts import CountMetric, Counts, macro, ratio

if TYPE_CHECKING:
    import numpy as np

_SOURCE = "van Rijsbergen (1979), Information Retrieval, 2nd ed., ch. 7"


class Recall(CountMetric):
    """`recall[label]`: of the items that have a label, the share predicted as it.

    NaN where no item has the label. The interval is Wilson's with M, the number of items
    that have the label: given that number, the hits among them are binomial, so the level
    holds for every M and therefore overall.
    """

    name = "recall"
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = _SOURCE
    summary = "of the items that have a label, the share predicted as it"
    interval = "wilson"
    per_label = True

    def of_counts(self, counts: Counts) -> np.ndarray:
        return ratio(counts.hits[..., self.label], counts.gold[..., self.label])

    def successes(self, predictions: Predictions) -> np.ndarray:
        among = predictions.gold == self.label
        right: np.ndarray = predictions.predicted[among] == self.label
        return right


class RecallMacro(CountMetric):
    """Mean of `recall[label]` over the labels that occur as true or predicted ones.

    A label for which it is undefined counts as 0 (scikit-learn's ``zero_division=0``); NaN
    without items.
    """

    name = "recall_macro"
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = _SOURCE + "; averages: Yang (1999)"
    summary = "mean of recall over the labels"

    def of_counts(self, counts: Counts) -> np.ndarray:
        return macro(counts.hits, counts.gold, counts)

    def trials(self, counts: Counts) -> np.ndarray:
        return counts.gold


class RecallMicro(Accuracy):
    """Recall over the pooled decisions: with one label an item this is the accuracy."""

    name = "recall_micro"
    source = _SOURCE + "; averages: Yang (1999)"
    summary = "recall of the pooled decisions; with one label an item, the accuracy"


class RecallWeighted(Accuracy):
    """Mean of `recall[label]` weighted by how often each label is the true one.

    The weights cancel the denominators: with one label an item this is the accuracy.
    """

    name = "recall_weighted"
    source = _SOURCE + "; averages: scikit-learn"
    summary = "mean of recall weighted by the labels' frequency; the accuracy"
