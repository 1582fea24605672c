# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""What a task's own scoring gives, where more is better and where less is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from gradus.metrics.base import Direction, Metric
from gradus.metrics.outcomes import MEAN, UNDEFINED, Outcomes

if TYPE_CHECKING:
    import numpy as np


class Outcome(Metric):
    """A number of the task's own, by its name there, as in ``outcome[exact_match]``.

    The mean over the items that have one, or what lm-evaluation-harness's aggregation of that name
    makes of them. NaN where the task combines its items in a way that has no name, and for a name
    of which less is better (`penalty` has those).
    """

    name = "outcome"
    unit = "task's own"
    direction: ClassVar[Direction] = "higher"
    range = (-math.inf, math.inf)
    source = "the task of lm-evaluation-harness (Gao et al. 2024) that names it"
    summary = "a task's own number, more is better: outcome[exact_match]"
    needs = "outcomes"
    interval = "wilson"
    per_label = True
    lower = False

    def of(self, observed: Outcomes) -> str:
        """How the items become a number; `UNDEFINED` where they don't, for this metric."""
        if self.label is None or observed.lower[self.label] is not self.lower:
            return UNDEFINED
        return observed.aggregations[self.label]

    def column(self, observed: Outcomes) -> np.ndarray:
        """float64 [N], the number of each item."""
        found: np.ndarray = observed.values[:, self.label]
        return found

    def __call__(self, observed: Outcomes) -> float:
        kind = self.of(observed)
        if kind == UNDEFINED or not len(observed):
            return math.nan
        if kind == MEAN:
            column = self.column(observed)
            there = column[column == column]
            return float(there.mean()) if len(there) else math.nan
        from gradus.bridge.aggregations import aggregate

        assert self.label is not None
        return aggregate(kind, observed.recorded(self.label))

    def successes(self, predictions: Outcomes) -> np.ndarray | None:
        """bool [N] where every item scored 0 or 1, else None."""
        import numpy as np

        if self.of(predictions) != MEAN:
            return None
        column = self.column(predictions)
        return column == 1 if bool(np.isin(column, (0.0, 1.0)).all()) else None

    def weighted(self, predictions: Outcomes, weights: np.ndarray) -> np.ndarray | None:
        import numpy as np

        if self.of(predictions) != MEAN:
            return None
        column = self.column(predictions)
        there = ~np.isnan(column)
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = weights[:, there]
            return np.asarray(weights @ column[there] / weights.sum(axis=-1))


class Penalty(Outcome):
    """The same for a name of which less is better, as in ``penalty[brier_score]``."""

    name = "penalty"
    direction = "lower"
    summary = "a task's own number, less is better: penalty[brier_score]"
    lower = True
