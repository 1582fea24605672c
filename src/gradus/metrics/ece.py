# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Expected calibration error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.base import Metric, Predictions

if TYPE_CHECKING:
    import numpy as np

BINS = 15


class Ece(Metric):
    """Expected calibration error of the predicted label's probability; NaN without items.

    Fifteen bins of equal width over (0, 1], each open on the left, as in Guo et al. (2017): the
    mean over items of |share right - mean probability| of the item's bin. It is biased upwards on
    few items, since within a bin noise never cancels; its interval allows for that.
    """

    name = "ece"
    unit = "proportion"
    direction = "lower"
    range = (0.0, 1.0)
    source = "Guo et al. (2017), On Calibration of Modern Neural Networks; 15 bins of equal width"
    summary = "expected calibration error, 15 bins of equal width"
    needs = "probabilities"
    facts = {"bins": BINS, "binning": "equal width"}  # noqa: RUF012  # read only, typed in the base

    def gaps(self, predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
        """Each item's bin (int64 [N]) and its probability less its being right (float64 [N])."""
        import numpy as np

        if predictions.log_probs is None:
            return np.zeros(len(predictions), np.int64), np.full(len(predictions), np.nan)
        log_p = predictions.log_probs[np.arange(len(predictions)), predictions.predicted]
        sure = np.exp(log_p)
        bins = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
        return bins, sure - (predictions.gold == predictions.predicted)

    def __call__(self, observed: Predictions) -> float:
        import numpy as np

        if not len(observed):
            return float("nan")
        bins, gap = self.gaps(observed)
        return float(np.abs(np.bincount(bins, gap, BINS)).sum() / len(observed))

    def weighted(self, predictions: Predictions, weights: np.ndarray) -> np.ndarray:
        import numpy as np

        return np.asarray(np.abs(self.sums(predictions, weights)).sum(axis=-1))

    def of_bins(self, mass: np.ndarray, sure: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The values of bins with so many items (``mass``), mean probability and right ones.

        Arrays [..., bins]; the value is over the last axis.
        """
        import numpy as np

        return np.asarray(np.abs(mass * sure - right).sum(axis=-1) / mass.sum(axis=-1))

    def drawn(self, sizes: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
        """How many of as many items fall into each bin: int64 [D, bins]."""
        n = int(sizes.sum())
        return rng.multinomial(n, sizes / n, draws)

    def sums(self, predictions: Predictions, weights: np.ndarray) -> np.ndarray:
        """Sum of the gaps in each bin, as a share of the whole weight: float64 [D, bins]."""
        import numpy as np

        bins, gap = self.gaps(predictions)
        spread = np.zeros((len(bins), BINS))
        spread[np.arange(len(bins)), bins] = gap
        return np.asarray(weights @ spread / weights.sum(axis=-1, keepdims=True))
