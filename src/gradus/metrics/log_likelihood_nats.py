# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""The log-likelihood of everything that was scored."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gradus.metrics.means import MeanMetric
from gradus.metrics.ratios import RatioMetric

if TYPE_CHECKING:
    import numpy as np

    from gradus.metrics.texts import Texts


class LogLikelihoodNats(RatioMetric, MeanMetric):
    """Summed log-likelihood of all items, in nats: the one total that every unit is made of.

    Its interval is that of N times the mean item: where the total of as many other items drawn
    from the same source would lie. NaN without items.
    """

    name = "log_likelihood_nats"
    unit = "nats"
    direction = "higher"
    range = (-math.inf, 0.0)
    source = "Fisher (1922), On the mathematical foundations of theoretical statistics"
    summary = "summed log-likelihood of all items; its interval is of as many other items"
    needs = "texts"
    additive = True

    def per_item(self, predictions: Texts) -> np.ndarray:
        import numpy as np

        # The mean of these is the total.
        return np.asarray(len(predictions) * predictions.nats, dtype=np.float64)

    def parts(self, items: Texts) -> tuple[np.ndarray, np.ndarray]:
        import numpy as np

        return self.per_item(items), np.ones(len(items))

    def weighted(self, predictions: Texts, weights: np.ndarray) -> np.ndarray:
        import numpy as np

        # A sum, not N times a mean: weightings needn't add up to the number of rows.
        return np.asarray(weights @ predictions.nats, dtype=np.float64)
