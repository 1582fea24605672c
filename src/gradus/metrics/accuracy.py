# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.means import ProportionMetric

if TYPE_CHECKING:
    import numpy as np

    from gradus.metrics.base import Items


class Accuracy(ProportionMetric):
    """Share of items that are right; NaN without items.

    Right is a predicted label that is the true one; of options, the most probable that is the true
    one; of a language model's targets, one that greedy decoding would have written. Texts of which
    that wasn't asked have no accuracy.
    """

    name = "accuracy"
    direction = "higher"
    source = "ISO 5725-1:1994 in the use of the field; interval: Wilson (1927)"
    summary = "share of items with the right label, option or target"
    needs = "labels"

    @classmethod
    def asked_of(cls, items: Items) -> bool:
        return getattr(items, "greedy", True) is not None

    def successes(self, predictions: Items) -> np.ndarray:
        import numpy as np

        return predictions.right() if self.asked_of(predictions) else np.zeros(0, dtype=np.bool_)
