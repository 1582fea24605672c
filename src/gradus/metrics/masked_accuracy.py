# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Share of hidden tokens that were found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.ratios import RatioMetric

if TYPE_CHECKING:
    import numpy as np

    from gradus.metrics.gaps import Gaps


class MaskedAccuracy(RatioMetric):
    """Share of hidden tokens that were the most probable ones; NaN where nothing was hidden.

    Tokens of one text aren't independent, so its interval is a bootstrap over texts. What is hidden
    depends on the tokenizer, so two checkpoints are only compared where they share it.
    """

    name = "masked_accuracy"
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = "Devlin et al. (2019), BERT, section 3.1, task 1"
    summary = "share of tokens behind the mask that the model holds for the most probable"
    needs = "gaps"
    bound = ("tokenizer",)

    def parts(self, items: Gaps) -> tuple[np.ndarray, np.ndarray]:
        import numpy as np

        return np.asarray(items.correct, np.float64), np.asarray(items.tokens, np.float64)
