# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Matthews' correlation coefficient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.counts import CountMetric, Counts

if TYPE_CHECKING:
    import numpy as np


class Mcc(CountMetric):
    """Correlation of true and predicted labels, for any number of labels.

    0 where all items have, or are predicted as, the same label: the correlation is then undefined
    and scikit-learn's convention is followed. NaN without items.
    """

    name = "mcc"
    unit = "correlation"
    direction = "higher"
    range = (-1.0, 1.0)
    source = "Matthews (1975); several labels: Gorodkin (2004)"
    summary = "Matthews' correlation of true and predicted labels"

    def of_counts(self, counts: Counts) -> np.ndarray:
        import numpy as np

        gold, predicted = np.asarray(counts.gold, float), np.asarray(counts.predicted, float)
        n = gold.sum(axis=-1)
        covariance = counts.hits.sum(axis=-1) * n - (gold * predicted).sum(axis=-1)
        spread = (n**2 - (gold**2).sum(axis=-1)) * (n**2 - (predicted**2).sum(axis=-1))
        # With weights that aren't whole, rounding leaves a spread of almost zero: it is zero.
        flat = spread <= 1e-12 * n**4
        value = np.where(flat, 0.0, covariance / np.sqrt(np.where(flat, 1.0, spread)))
        return np.where(n > 0, value, np.nan)
