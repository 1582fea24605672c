# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Area under the risk-coverage curve, by several ways of ranking items.

Legend: N items, D weightings, G groups of equal confidence.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gradus.metrics.base import Metric, Predictions
from gradus.metrics.means import ProportionMetric

if TYPE_CHECKING:
    import numpy as np

SMALL = 30.0
_SOURCE = "Geifman and El-Yaniv (2017), Selective Classification for Deep Neural Networks"


class Aurc(Metric):
    """The mean, over all numbers of items answered, of the share of wrong ones among them.

    Items are answered in the order of the predicted label's probability, the surest first; the
    risk at n items is the share of errors among the n surest, and the area is its mean over n = 1
    to N. Among equally sure items the order is random, and the value its expectation. NaN without
    items. A random order has the error rate, see `aurc_random`.
    """

    name = "aurc"
    unit = "proportion"
    direction = "lower"
    range = (0.0, 1.0)
    source = _SOURCE
    summary = "area under the risk-coverage curve, surest answers first"
    needs = "probabilities"

    def confidence(self, predictions: Predictions) -> np.ndarray:
        """float64 [N]; only its order matters."""
        import numpy as np

        if predictions.log_probs is None:
            return np.full(len(predictions), np.nan)
        return np.asarray(predictions.log_probs[np.arange(len(predictions)), predictions.predicted])

    def viewed(self, items: Predictions) -> Predictions:
        # Ranks, so that the confidences of two sides can be exchanged: logarithms and margins, or
        # probabilities at two temperatures, have no scale in common.
        from scipy.stats import rankdata

        return replace(items, confidence=rankdata(self._ranked_by(items)))

    def _ranked_by(self, predictions: Predictions) -> np.ndarray:
        given = predictions.confidence
        return self.confidence(predictions) if given is None else given

    def __call__(self, observed: Predictions) -> float:
        import numpy as np

        if not len(observed):
            return float("nan")
        return float(self.weighted(observed, np.ones((1, len(observed))))[0])

    def weighted(self, predictions: Predictions, weights: np.ndarray) -> np.ndarray:
        import numpy as np

        sure = self._ranked_by(predictions)
        if not np.isfinite(sure[sure != -np.inf]).all():
            return np.full(len(weights), np.nan)
        order = np.argsort(-sure, kind="stable")
        ranked = sure[order]
        starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
        wrong = ~predictions.right()[order]
        mass = weights[:, order]
        errors = mass * wrong
        if len(starts) < len(order):
            mass, errors = (np.add.reduceat(of, starts, axis=1) for of in (mass, errors))
        above = np.zeros((len(mass), mass.shape[1] + 1))
        np.cumsum(mass, axis=1, out=above[:, 1:])
        # Of a group of m items behind W with E errors, e more come evenly: the sum over j = 1 to m
        # of (E + e j / m) / (W + j), in closed form, which holds for weights as well.
        harmonic = np.diff(_harmonic(above), axis=1)
        before = np.cumsum(errors, axis=1) - errors
        with np.errstate(invalid="ignore", divide="ignore"):
            within = np.where(mass > 0, errors / mass * (mass - above[:, :-1] * harmonic), 0.0)
            total = (before * harmonic + within).sum(axis=1) / above[:, -1]
        return np.asarray(total)


class AurcMargin(Aurc):
    """`aurc` where items are ranked by how much more probable the predicted label is than the next.

    The usual confidence of a model whose probabilities nobody has calibrated.
    """

    name = "aurc_margin"
    source = _SOURCE + "; ranked by the margin of Scheffer, Decomain and Wrobel (2001)"
    summary = "area under the risk-coverage curve, ranked by the margin between the two best labels"
    within = "aurc"

    def confidence(self, predictions: Predictions) -> np.ndarray:
        import numpy as np

        if predictions.log_probs is None:
            return np.full(len(predictions), np.nan)
        found, rows = np.exp(predictions.log_probs), np.arange(len(predictions))
        own = found[rows, predictions.predicted]
        found[rows, predictions.predicted] = 0.0
        return np.asarray(own - found.max(axis=1, initial=0.0))


class AurcRandom(ProportionMetric):
    """What `aurc` is expected to be where items are answered in random order: the error rate."""

    name = "aurc_random"
    direction = "lower"
    source = _SOURCE + "; of an order that knows nothing, every risk is the error rate"
    summary = "area under the risk-coverage curve of a random order: the error rate"
    needs = "labels"
    within = "aurc"

    def successes(self, predictions: Predictions) -> np.ndarray:
        return ~predictions.right()

    def viewed(self, items: Predictions) -> Predictions:
        import numpy as np

        return replace(items, confidence=np.full(len(items), (len(items) + 1) / 2))


def _harmonic(x: np.ndarray) -> np.ndarray:
    """The harmonic number 1 + 1/2 + ... + 1/x of whole x, less Euler's constant; digamma(x + 1).

    Above 30 by its asymptotic series about x + 1/2, right to rounding and many times faster.
    """
    import numpy as np
    from scipy.special import digamma

    middle = x + 0.5
    square = 1 / (middle * middle)
    found = np.log(middle)
    found += square * (1 / 24 - square * (7 / 960 - square * (31 / 8064)))
    small = x < SMALL
    found[small] = digamma(x[small] + 1)
    return np.asarray(found)
