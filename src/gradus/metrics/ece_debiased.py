# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Debiased expected calibration error.

Legend: N items, D weightings, B bins, G groups of items with equal probability.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.base import Predictions
from gradus.metrics.ece import BINS, Ece

if TYPE_CHECKING:
    import numpy as np


class EceDebiased(Ece):
    """Expected calibration error of the predicted label, without most of its bias; NaN without
    items.

    Fifteen bins of equal mass by the predicted label's probability, equal probabilities in one
    bin. The mean over items of |share right - mean probability| of the item's bin (the L1 form of
    Guo et al. 2017), less what noise adds to it: of a bin with gap g whose share has the standard
    error s, E|Normal(g, s)| - |g|, as Kumar, Liang and Ma (2019) debias the L1 error. Where nothing
    is off, about half of the bias is left: it errs on the high side. Below 0 it is 0.
    """

    name = "ece_debiased"
    unit = "proportion"
    direction = "lower"
    range = (0.0, 1.0)
    source = (
        "Kumar, Liang and Ma (2019), Verified Uncertainty Calibration: L1, debiased by the normal "
        "approximation; 15 bins of equal mass, top label"
    )
    summary = "debiased expected calibration error (L1), 15 bins of equal mass"
    needs = "probabilities"
    inflated = True
    facts = {"bins": BINS, "binning": "equal mass", "norm": "L1"}  # noqa: RUF012  # read only

    def gaps(self, predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
        """Each item's bin (int64 [N]) and its probability less its being right (float64 [N])."""
        import numpy as np

        sure, right = _judged(predictions)
        order, start = _starts(sure)
        bins = np.empty(len(sure), np.int64)
        bins[order] = _bins(start.astype(np.float64), float(len(sure)))
        return bins, sure - right

    def __call__(self, observed: Predictions) -> float:
        import numpy as np

        if not len(observed):
            return float("nan")
        return float(self.weighted(observed, np.ones((1, len(observed))))[0])

    def weighted(self, predictions: Predictions, weights: np.ndarray) -> np.ndarray:
        """The values [D]; each weighting has bins of its own."""
        import numpy as np

        sure, right = _judged(predictions)
        order, start = _starts(sure)
        weights = weights[:, order]
        draws = len(weights)
        before = np.zeros((draws, len(sure)))
        np.cumsum(weights[:, :-1], axis=1, out=before[:, 1:])
        bins = _bins(before[:, start], weights.sum(axis=1, keepdims=True))
        flat = (bins + BINS * np.arange(draws)[:, None]).ravel()

        def sums(values: np.ndarray) -> np.ndarray:
            found = np.bincount(flat, (weights * values).ravel(), draws * BINS)
            return np.asarray(found.reshape(draws, BINS))

        mass = sums(np.ones(len(sure)))
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = sums(sure[order]) / mass
        return np.asarray(np.maximum(self.of_bins(mass, mean, sums(right[order])), 0.0))

    def of_bins(self, mass: np.ndarray, sure: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Before it is cut at 0; see `Ece.of_bins`."""
        import numpy as np
        from scipy.special import ndtr

        with np.errstate(invalid="ignore", divide="ignore"):
            share = right / mass
            gap = np.abs(share - sure)
            error = np.sqrt(np.clip(share * (1 - share), 0, None) / mass)
            ratio = gap / error
            tail = np.exp(-(ratio**2) / 2) * np.sqrt(2 / np.pi)
            folded = np.where(error > 0, error * tail + gap * (1 - 2 * ndtr(-ratio)), gap)
            each = np.where(mass > 0, mass * (2 * gap - folded), 0.0)
        return np.asarray(each.sum(axis=-1) / mass.sum(axis=-1))

    def drawn(self, sizes: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
        """Bins of equal mass have as many items whichever are drawn."""
        import numpy as np

        return np.tile(sizes, (draws, 1))


def _judged(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """The predicted label's probability, and whether it is right: float64 [N] each."""
    import numpy as np

    if predictions.log_probs is None:
        return np.full(len(predictions), np.nan), np.zeros(len(predictions))
    log_p = predictions.log_probs[np.arange(len(predictions)), predictions.predicted]
    return np.exp(log_p), predictions.right().astype(np.float64)


def _starts(sure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rising order [N], and where in it each place's group of equal probabilities starts [N]."""
    from gradus.metrics.ranking import tied

    order, start, _ = tied(sure)
    return order, start


def _bins(before: np.ndarray, total: np.ndarray | float) -> np.ndarray:
    """The bin, 0 to 14, of what has so much of the total mass before it."""
    import numpy as np

    return np.minimum((before * BINS / total).astype(np.int64), BINS - 1)
