# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Area under the receiver operating characteristic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.counts import ratio
from gradus.metrics.ranking import RankMetric, before, tied

if TYPE_CHECKING:
    import numpy as np

_SOURCE = "Hanley and McNeil (1982); equal scores count half, as in Mann and Whitney (1947)"


class Auroc(RankMetric):
    """`auroc[label]`: the share of pairs of a positive and another item that are ranked right.

    Equal scores count half. 0.5 for chance; NaN unless there are items of both kinds. Over sets of
    labels, each label's own probability ranks.
    """

    name = "auroc"
    source = _SOURCE
    summary = "share of pairs (with the label, without it) that are ranked right"
    per_label = True

    def of_scores(
        self, scores: np.ndarray, positive: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        import numpy as np

        order, start, end = tied(scores)
        above, below = np.flatnonzero(positive[order]), np.flatnonzero(~positive[order])
        mine = weights[order[above]]
        ends = np.concatenate([start[above], end[above], [len(scores)]])
        others = before(weights, order[below], below, ends)
        lower, level = others[: len(above)], others[len(above) : -1]
        right = (mine * (lower + level)).sum(axis=0) / 2
        return ratio(right, mine.sum(axis=0) * others[-1])

    def moves(self, scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, float]:
        """DeLong, DeLong and Clarke-Pearson (1988), by mid-ranks (Sun and Xu 2014); no bias."""
        import numpy as np
        from scipy.stats import rankdata

        own, other = int(positive.sum()), int((~positive).sum())
        ranks, found = rankdata(scores), np.empty(len(scores))
        above = (ranks[positive] - rankdata(scores[positive])) / other
        below = 1 - (ranks[~positive] - rankdata(scores[~positive])) / own
        found[positive] = (above - above.mean()) / own
        found[~positive] = (below - below.mean()) / other
        return found, 0.0


class AurocMacro(Auroc):
    """Mean of `auroc[label]`, each label against the rest, over the labels where it is defined.

    With two labels an item has one of, this is the binary AUROC; NaN where no label is defined.
    """

    name = "auroc_macro"
    source = _SOURCE + "; one against the rest: Provost and Domingos (2000), without their weights"
    summary = "mean AUROC over the labels, each against the rest; with two labels the binary one"
    per_label = False
