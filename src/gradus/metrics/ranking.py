# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Metrics of how well scores rank: each label against the rest.

Legend: N items, K labels, D weightings, G groups of equal scores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradus.metrics.base import Metric, Predictions
from gradus.metrics.labelsets import LabelSets

if TYPE_CHECKING:
    import numpy as np

Ranked = Predictions | LabelSets


class RankMetric(Metric):
    """A metric of the scores of one label, positive items against all others.

    Of `Predictions` a label's positive items are those that have it as their one label, of
    `LabelSets` those that have it among theirs; the score is the logarithm of its probability.
    """

    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    needs = "probabilities"

    def of_scores(
        self, scores: np.ndarray, positive: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """The values [D] for scores [N], positive bool [N] and weights [N, D]; NaN if undefined."""
        raise NotImplementedError

    def moves(self, scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, float]:
        """How far each item moves the value of one label, and how far it is biased upwards.

        float64 [N], the derivative by an item's weight, which sums to 0: the sum of its squares
        estimates the variance. For scores where `of_scores` is defined.
        """
        raise NotImplementedError

    def columns(self, observed: Ranked) -> list[tuple[np.ndarray, np.ndarray]]:
        """Scores [N] and positive bool [N] of every label that it is taken over."""
        import numpy as np

        if observed.log_probs is None:
            return []
        if isinstance(observed, LabelSets):
            positive = observed.gold
        else:
            positive = observed.gold[:, None] == np.arange(len(observed.labels))
        chosen = range(len(observed.labels)) if self.label is None else [self.label]
        return [(observed.log_probs[:, k], positive[:, k]) for k in chosen]

    def __call__(self, observed: Ranked) -> float:
        import numpy as np

        return float(self.weighted(observed, np.ones((1, len(observed))))[0])

    def weighted(self, predictions: Ranked, weights: np.ndarray) -> np.ndarray:
        """The mean over the labels for which it is defined under each weighting."""
        import numpy as np

        total, defined = np.zeros(len(weights)), np.zeros(len(weights))
        # An item's weights side by side: putting items in order then moves whole rows.
        by_item = np.ascontiguousarray(weights.T)
        for scores, positive in self.columns(predictions):
            values = self.of_scores(scores, positive, by_item)
            total += np.nan_to_num(values)
            defined += ~np.isnan(values)
        return np.where(defined > 0, total / np.maximum(defined, 1), np.nan)


def tied(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rising order of scores [N], and where in it each place's group of equal scores starts, ends.

    All int64 [N]; the end is exclusive.
    """
    import numpy as np

    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    new = np.ones(len(scores), bool)
    new[1:] = ranked[1:] != ranked[:-1]
    starts = np.flatnonzero(new)
    group = np.cumsum(new) - 1
    ends = np.append(starts[1:], len(scores))
    return order, starts[group], ends[group]


def before(weights: np.ndarray, items: np.ndarray, places: np.ndarray, ends: np.ndarray) -> Any:
    """float64 [E, D], the summed weights [N, D] of the `items` whose place is below each end.

    `items` are rows of the weights and `places` where they stand in an order, both int64 [M]; the E
    `ends` are places too. One pass over the weights, as a product with a sparse matrix that sums
    the stretches between ends.
    """
    import numpy as np
    from scipy import sparse

    marks = np.unique(ends)
    stretch = np.searchsorted(marks, places, side="right")
    shape = (len(marks) + 1, len(weights))
    summing = sparse.csr_array((np.ones(len(items)), (stretch, items)), shape=shape)
    sums = np.cumsum(summing @ weights, axis=0)
    return sums[np.searchsorted(marks, ends)]


def running(weights: np.ndarray) -> np.ndarray:
    """float64 [N + 1, D], the sums of the first 0, 1, ..., N rows of weights [N, D]."""
    import numpy as np

    sums = np.zeros((weights.shape[0] + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=sums[1:])
    return sums
