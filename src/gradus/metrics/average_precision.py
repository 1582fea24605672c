# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Average precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.counts import ratio
from gradus.metrics.ranking import RankMetric, before, running, tied

if TYPE_CHECKING:
    import numpy as np

_SOURCE = "Zhu (2004), Recall, Precision and Average Precision; steps, no interpolation"


class AveragePrecision(RankMetric):
    """`average_precision[label]`: the precision at each positive item's score, averaged.

    The area under the precision-recall steps without interpolation, as in scikit-learn. Chance
    gives the share of positive items. NaN without a positive item.
    """

    name = "average_precision"
    source = _SOURCE
    summary = "mean of the precision at each item with the label, items ranked by score"
    per_label = True

    def of_scores(
        self, scores: np.ndarray, positive: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        import numpy as np

        order, _, end = tied(-scores)
        above = np.flatnonzero(positive[order])
        mine, last = weights[order[above]], end[above]
        # Of the positive items alone, as many as lie up to the end of each one's group.
        hits = running(mine)[np.searchsorted(above, last)]
        # Where nothing has weight up to a place, the place has none itself: its term is zero.
        precision = np.nan_to_num(ratio(hits, before(weights, order, np.arange(len(order)), last)))
        return ratio((mine * precision).sum(axis=0), mine.sum(axis=0))

    def moves(self, scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, float]:
        """By differentiation; biased since each item counts among those at its own score."""
        import numpy as np

        order, start, end = tied(-scores)
        mine = positive[order].astype(np.float64)
        hits, total = np.cumsum(mine)[end - 1], mine.sum()
        precision = hits / end
        value = float((mine * precision).sum() / total)

        def after(terms: np.ndarray) -> np.ndarray:
            """Sums over the positive items that are ranked no higher."""
            return np.asarray(np.cumsum((mine * terms)[::-1])[::-1][start])

        found = np.empty(len(scores))
        reach, share = after(1 / end), after(precision / end)
        found[order] = (mine * (precision - value + reach) - share) / total
        return found, float((mine * (1 - precision) / end).sum() / total)


class AveragePrecisionMacro(AveragePrecision):
    """Mean of `average_precision[label]` over the labels that have a positive item."""

    name = "average_precision_macro"
    source = _SOURCE
    summary = "mean average precision over the labels, each against the rest"
    per_label = False
