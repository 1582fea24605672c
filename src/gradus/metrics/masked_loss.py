# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Negative log-likelihood of a hidden token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gradus.metrics.ratios import RatioMetric

if TYPE_CHECKING:
    import numpy as np

    from gradus.metrics.gaps import Gaps


class MaskedLoss(RatioMetric):
    """Mean negative log-likelihood of a hidden token, in nats; NaN where nothing was hidden.

    What is hidden depends on the tokenizer, so two checkpoints are only compared where they share
    it.
    """

    name = "masked_loss"
    unit = "nats/token"
    direction = "lower"
    range = (0.0, math.inf)
    source = "Devlin et al. (2019), BERT, section 3.1, task 1"
    summary = "mean negative log-likelihood of a token behind the mask"
    needs = "gaps"
    bound = ("tokenizer",)

    def parts(self, items: Gaps) -> tuple[np.ndarray, np.ndarray]:
        import numpy as np

        return -np.asarray(items.nats, np.float64), np.asarray(items.tokens, np.float64)
