# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Metrics of how well scores rank: each label against the rest.

Legend: N items, K labels, D weightings, G groups of equal scores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        """The values [D] for scores [N], positive bool [N] and weights [D, N]; NaN if undefined."""
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
        for scores, positive in self.columns(predictions):
            values = self.of_scores(scores, positive, weights)
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


def running(weights: np.ndarray) -> np.ndarray:
    """float64 [D, N + 1], the sums of the first 0, 1, ..., N weights of each row."""
    import numpy as np

    sums = np.zeros((weights.shape[0], weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums
