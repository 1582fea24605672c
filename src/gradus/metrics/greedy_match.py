# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Would greedy decoding have written the target?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.means import ProportionMetric

if TYPE_CHECKING:
    import numpy as np

    from gradus.metrics.base import Items
    from gradus.metrics.texts import Texts


class GreedyMatch(ProportionMetric):
    """Share of items of which every token was the most probable one where it stands.

    That is what greedy decoding would have written, for it meets the same left contexts as long as
    it agrees. NaN without items, or where it wasn't asked.
    """

    name = "greedy_match"
    direction = "higher"
    source = "lm-evaluation-harness, is_greedy"
    summary = "share of targets that greedy decoding would have written"
    needs = "greedy"

    @classmethod
    def asked_of(cls, items: Items) -> bool:
        return getattr(items, "greedy", None) is not None

    def successes(self, predictions: Texts) -> np.ndarray:
        import numpy as np

        if predictions.greedy is None:
            return np.zeros(0, dtype=np.bool_)
        return predictions.greedy
