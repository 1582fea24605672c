# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Cohen's kappa."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.counts import CountMetric, Counts

if TYPE_CHECKING:
    import numpy as np


class CohenKappa(CountMetric):
    """Agreement of true and predicted labels beyond what their frequencies give by chance.

    (share right - share by chance) / (1 - share by chance), unweighted. NaN without items, and
    where all items have, and are predicted as, one label: chance is then certain.
    """

    name = "cohen_kappa"
    unit = "agreement"
    direction = "higher"
    range = (-1.0, 1.0)
    source = "Cohen (1960), A coefficient of agreement for nominal scales"
    summary = "agreement of true and predicted labels beyond chance"

    def of_counts(self, counts: Counts) -> np.ndarray:
        import numpy as np

        gold, predicted = np.asarray(counts.gold, float), np.asarray(counts.predicted, float)
        n = gold.sum(axis=-1)
        chance = (gold * predicted).sum(axis=-1)
        excess, room = counts.hits.sum(axis=-1) * n - chance, n**2 - chance
        # With weights that aren't whole, rounding leaves almost no room: there is none.
        certain = room <= 1e-12 * n**2
        return np.where(certain, np.nan, excess / np.where(certain, 1.0, room))
