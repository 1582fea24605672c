# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Precision: of the items predicted as a label, the share that have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.accuracy import Accuracy
from gradus.metrics.base import Predictions
from gradus.metrics.counts import CountMetric, Counts, macro, ratio, weighted_mean

if TYPE_CHECKING:
    import numpy as np

_SOURCE = "van Rijsbergen (1979), Information Retrieval, 2nd ed., ch. 7"


class Precision(CountMetric):
    """`precision[label]`: of the items predicted as a label, the share that have it.

    NaN where no item is predicted as the label. The interval is Wilson's with M, the number of
    items predicted as the label: given that number, the hits among them are binomial, so the
    level holds for every M and therefore overall.
    """

    name = "precision"
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = _SOURCE
    summary = "of the items predicted as a label, the share that have it"
    interval = "wilson"
    per_label = True
    paired = False

    def of_counts(self, counts: Counts) -> np.ndarray:
        return ratio(counts.hits[..., self.label], counts.predicted[..., self.label])

    def successes(self, predictions: Predictions) -> np.ndarray:
        among = predictions.predicted == self.label
        right: np.ndarray = predictions.gold[among] == self.label
        return right


class PrecisionMacro(CountMetric):
    """Mean of `precision[label]` over the labels that occur as true or predicted ones.

    A label for which it is undefined counts as 0 (scikit-learn's ``zero_division=0``); NaN
    without items.
    """

    name = "precision_macro"
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = _SOURCE + "; averages: Yang (1999)"
    summary = "mean of precision over the labels"

    def of_counts(self, counts: Counts) -> np.ndarray:
        return macro(counts.hits, counts.predicted, counts)

    def trials(self, counts: Counts) -> np.ndarray:
        return counts.predicted


class PrecisionMicro(Accuracy):
    """Precision over the pooled decisions: with one label an item this is the accuracy."""

    name = "precision_micro"
    source = _SOURCE + "; averages: Yang (1999)"
    summary = "precision of the pooled decisions; with one label an item, the accuracy"


class PrecisionWeighted(CountMetric):
    """Mean of `precision[label]` weighted by how often each label is the true one.

    A label for which it is undefined counts as 0 (scikit-learn's ``zero_division=0``); NaN
    without items.
    """

    name = "precision_weighted"
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = _SOURCE + "; averages: scikit-learn"
    summary = "mean of precision weighted by the labels' frequency"

    def of_counts(self, counts: Counts) -> np.ndarray:
        return weighted_mean(counts.hits, counts.predicted, counts)
