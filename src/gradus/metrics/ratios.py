# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Metrics that are one sum over the items by another: language models' numbers.

A mean of the items' own perplexities would be another number, in which a short text weighs as much
as a long one; resamples therefore take numerators and denominators together.

Legend: N items, D weightings.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gradus.metrics.base import Metric
from gradus.metrics.conversions import SCALES

if TYPE_CHECKING:
    import numpy as np

    from gradus.metrics.texts import Texts


class RatioMetric(Metric):
    """`of_ratio` of one sum over another; NaN where the second is 0."""

    def parts(self, items: Any) -> tuple[np.ndarray, np.ndarray]:
        """Each item's share in the sum above and in the one below: float64 [N] both."""
        raise NotImplementedError

    def of_ratio(self, ratio: np.ndarray) -> np.ndarray:
        """The values that belong to ratios; rising."""
        return ratio

    def __call__(self, observed: Any) -> float:
        import numpy as np

        above, below = (part.sum() for part in self.parts(observed))
        return float(self.of_ratio(np.asarray(above / below))) if below else math.nan

    def weighted(self, predictions: Any, weights: np.ndarray) -> np.ndarray:
        import numpy as np

        above, below = (weights @ part for part in self.parts(predictions))
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.of_ratio(np.where(below > 0, above / below, np.nan))


class RateMetric(RatioMetric):
    """Negative log-likelihood of all texts by a count of them, as `gradus.metrics.conversions`.

    A text that the model holds for impossible makes it infinite.
    """

    direction = "lower"
    needs = "texts"

    def parts(self, items: Texts) -> tuple[np.ndarray, np.ndarray]:
        import numpy as np

        over = SCALES[self.name].over
        count = np.ones(len(items)) if over == "items" else getattr(items, str(over))
        return -np.asarray(items.nats, np.float64), np.asarray(count, np.float64)


class Perplexity(RateMetric):
    """e to the mean negative log-likelihood of a unit."""

    range = (1.0, math.inf)

    def of_ratio(self, ratio: np.ndarray) -> np.ndarray:
        import numpy as np

        with np.errstate(over="ignore"):
            return np.asarray(np.exp(ratio))


class Bits(RateMetric):
    """Mean negative binary logarithm of the probability of a unit."""

    range = (0.0, math.inf)

    def of_ratio(self, ratio: np.ndarray) -> np.ndarray:
        import numpy as np

        return np.asarray(ratio / math.log(2))
