# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""The log-likelihood of what should have been replied."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gradus.metrics.means import MeanMetric
from gradus.metrics.replies import Replies

if TYPE_CHECKING:
    import numpy as np

    from gradus.metrics.base import Items


class ReplyLogLikelihood(MeanMetric):
    """Mean over replies of the log-likelihood of the first reference, its end included, in nats.

    Summed over the tokens of a reply, so that it doesn't depend on how a tokenizer cuts it. NaN
    without items, and where the model wasn't asked.
    """

    name = "reply_log_likelihood"
    unit = "nats/reply"
    direction = "higher"
    range = (-math.inf, 0.0)
    source = "Fisher (1922), On the mathematical foundations of theoretical statistics"
    summary = "replies: log-likelihood of the reference reply with its end, mean over replies"
    needs = "replies"
    bound = ("format",)

    @classmethod
    def asked_of(cls, items: Items) -> bool:
        return isinstance(items, Replies) and items.nats is not None

    def per_item(self, predictions: Replies) -> np.ndarray:
        import numpy as np

        if predictions.nats is None:
            return np.full(len(predictions), math.nan)
        return np.asarray(predictions.nats, dtype=np.float64)
