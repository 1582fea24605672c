# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""F1: the harmonic mean of precision and recall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.accuracy import Accuracy
from gradus.metrics.base import Predictions
from gradus.metrics.counts import CountMetric, Counts, macro, ratio, weighted_mean

if TYPE_CHECKING:
    import numpy as np

_SOURCE = "van Rijsbergen (1979), Information Retrieval, 2nd ed., ch. 7"


class F1(CountMetric):
    """`f1[label]`: 2 hits / (gold + predicted); NaN where the label is neither.

    The interval is Wilson's, carried over: of the M items that have the label or are predicted as
    it, the share q that are hits (the Jaccard index) is a binomial proportion given M, and
    F1 = 2 q / (1 + q) rises with q.
    """

    name = "f1"
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = _SOURCE
    summary = "harmonic mean of precision and recall of one label"
    interval = "wilson"
    per_label = True
    paired = False

    def of_counts(self, counts: Counts) -> np.ndarray:
        both = counts.gold[..., self.label] + counts.predicted[..., self.label]
        return ratio(2 * counts.hits[..., self.label], both)

    def successes(self, predictions: Predictions) -> np.ndarray:
        gold, predicted = predictions.gold == self.label, predictions.predicted == self.label
        hits: np.ndarray = (gold & predicted)[gold | predicted]
        return hits

    def of_share(self, share: float) -> float:
        return 2 * share / (1 + share)


class F1Macro(CountMetric):
    """Mean of `f1[label]` over the labels that occur as true or predicted ones; NaN without items.

    Over those labels F1 is always defined, so scikit-learn's ``zero_division`` has no say.
    """

    name = "f1_macro"
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = _SOURCE + "; mean of F1, not F1 of means: Opitz and Burst (2019)"
    summary = "mean of F1 over the labels"

    def of_counts(self, counts: Counts) -> np.ndarray:
        return macro(2 * counts.hits, counts.gold + counts.predicted, counts)

    def trials(self, counts: Counts) -> np.ndarray:
        union: np.ndarray = counts.gold + counts.predicted - counts.hits
        return union

    def of_share(self, share: float) -> float:
        return 2 * share / (1 + share)


class F1Micro(Accuracy):
    """F1 of the pooled decisions: with one label an item this is the accuracy."""

    name = "f1_micro"
    source = _SOURCE + "; averages: Yang (1999)"
    summary = "F1 of the pooled decisions; with one label an item, the accuracy"


class F1Weighted(CountMetric):
    """Mean of `f1[label]` weighted by how often each label is the true one; NaN without items."""

    name = "f1_weighted"
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = _SOURCE + "; averages: scikit-learn"
    summary = "mean of F1 weighted by the labels' frequency"

    def of_counts(self, counts: Counts) -> np.ndarray:
        return weighted_mean(2 * counts.hits, counts.gold + counts.predicted, counts)
