# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""What precision, recall, F1, balanced accuracy and MCC are all made of: counts by label.

Legend: N items, K labels, D weightings; `hits` are the items of a label that were predicted as it,
`gold` the items whose true label it is, `predicted` the items predicted as it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradus.metrics.base import Metric, Predictions

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Counts:
    """float64 [..., K] each; leading axes are weightings."""

    hits: np.ndarray
    gold: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of(cls, predictions: Predictions) -> Counts:
        """Counts [K] of all items."""
        import numpy as np

        k, gold, predicted = len(predictions.labels), predictions.gold, predictions.predicted
        return cls(
            np.bincount(gold[gold == predicted], minlength=k),
            np.bincount(gold, minlength=k),
            np.bincount(predicted, minlength=k),
        )

    @classmethod
    def weighted(cls, predictions: Predictions, weights: np.ndarray) -> Counts:
        """Counts [D, K] under weights [D, N]; the cost doesn't depend on K."""
        import numpy as np
        from scipy import sparse

        n, k = len(predictions), len(predictions.labels)
        right = (predictions.gold == predictions.predicted).astype(np.float64)
        columns = np.arange(n)

        def sums(label: np.ndarray, each: np.ndarray) -> np.ndarray:
            by_label = sparse.csr_array((each, (label, columns)), shape=(k, n))
            return np.asarray((by_label @ weights.T).T)

        return cls(
            sums(predictions.gold, right),
            sums(predictions.gold, np.ones(n)),
            sums(predictions.predicted, np.ones(n)),
        )


class CountMetric(Metric):
    """A metric that is a function of `Counts` alone, unchanged when all counts are scaled."""

    needs = "labels"

    def of_counts(self, counts: Counts) -> np.ndarray:
        """The values [...] of counts [..., K]; NaN where undefined."""
        raise NotImplementedError

    def trials(self, counts: Counts) -> np.ndarray | None:
        """[..., K] where the value is the mean over labels of a share, hits / trials; else None.

        Of what belongs to a share by `of_share`, to be exact. Linear in the counts.
        """
        return None

    def __call__(self, observed: Predictions) -> float:
        return float(self.of_counts(Counts.of(observed)))

    def weighted(self, predictions: Predictions, weights: np.ndarray) -> np.ndarray:
        return self.of_counts(Counts.weighted(predictions, weights))


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, NaN where below is zero."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.true_divide(above, below))


def macro(above: np.ndarray, below: np.ndarray, counts: Counts) -> np.ndarray:
    """Mean [...] of above / below over the labels that occur as gold or as predicted.

    As in scikit-learn with its defaults: labels that occur in neither are left out, and a label
    whose ratio is undefined counts as 0 (``zero_division=0``). NaN without items.
    """
    import numpy as np

    present = (counts.gold + counts.predicted) > 0
    shares = above / np.where(below > 0, below, 1)
    return ratio(shares.sum(axis=-1), present.sum(axis=-1))


def weighted_mean(above: np.ndarray, below: np.ndarray, counts: Counts) -> np.ndarray:
    """Mean [...] of above / below by gold counts; an undefined one counts as 0, as in `macro`."""
    import numpy as np

    shares = above / np.where(below > 0, below, 1)
    return ratio((shares * counts.gold).sum(axis=-1), counts.gold.sum(axis=-1))
