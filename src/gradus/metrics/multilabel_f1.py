# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""F1 of sets of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.counts import Counts, macro, ratio
from gradus.metrics.labelsets import LabelSets
from gradus.metrics.means import MeanMetric
from gradus.metrics.setcounts import SetCountMetric

if TYPE_CHECKING:
    import numpy as np

_SOURCE = "van Rijsbergen (1979), ch. 7; over sets of labels: Tsoumakas et al. (2010)"


class MultilabelF1(SetCountMetric):
    """`multilabel_f1[label]`: 2 hits / (true + said) of one label; NaN where it is neither.

    The interval is Wilson's, carried over as for `f1[label]`.
    """

    name = "multilabel_f1"
    source = _SOURCE
    summary = "sets of labels: harmonic mean of precision and recall of one label"
    interval = "wilson"
    per_label = True
    paired = False

    def of_counts(self, counts: Counts) -> np.ndarray:
        both = counts.gold[..., self.label] + counts.predicted[..., self.label]
        return ratio(2 * counts.hits[..., self.label], both)

    def successes(self, predictions: LabelSets) -> np.ndarray:
        gold, predicted = predictions.gold[:, self.label], predictions.predicted[:, self.label]
        hits: np.ndarray = (gold & predicted)[gold | predicted]
        return hits

    def of_share(self, share: float) -> float:
        return 2 * share / (1 + share)


class MultilabelF1Micro(SetCountMetric):
    """F1 of all decisions of all labels pooled; NaN where no label is true or said."""

    name = "multilabel_f1_micro"
    source = _SOURCE
    summary = "sets of labels: F1 of the pooled decisions"

    def of_counts(self, counts: Counts) -> np.ndarray:
        both = counts.gold.sum(axis=-1) + counts.predicted.sum(axis=-1)
        return ratio(2 * counts.hits.sum(axis=-1), both)


class MultilabelF1Macro(SetCountMetric):
    """Mean of `multilabel_f1[label]` over the labels that are true or said of some item.

    scikit-learn counts a label that is neither as 0; here it is left out, as in `f1_macro`.
    """

    name = "multilabel_f1_macro"
    source = _SOURCE + "; mean of F1, not F1 of means: Opitz and Burst (2019)"
    summary = "sets of labels: mean of F1 over the labels"

    def of_counts(self, counts: Counts) -> np.ndarray:
        return macro(2 * counts.hits, counts.gold + counts.predicted, counts)

    def trials(self, counts: Counts) -> np.ndarray:
        union: np.ndarray = counts.gold + counts.predicted - counts.hits
        return union

    def of_share(self, share: float) -> float:
        return 2 * share / (1 + share)


class MultilabelF1Samples(MeanMetric):
    """Mean over items of the F1 of the item's own set; NaN without items.

    1 where an item has no label and none is said of it (scikit-learn's ``zero_division=1``).
    """

    name = "multilabel_f1_samples"
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = "Godbole and Sarawagi (2004), Discriminative methods for multi-labeled classification"
    summary = "sets of labels: mean over items of the F1 of each item's set"
    needs = "labelsets"

    def per_item(self, predictions: LabelSets) -> np.ndarray:
        import numpy as np

        hits = (predictions.gold & predictions.predicted).sum(axis=1)
        both = predictions.gold.sum(axis=1) + predictions.predicted.sum(axis=1)
        return np.where(both > 0, 2 * hits / np.maximum(both, 1), 1.0)
