# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Perplexity of what was written under a reference model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gradus.metrics.writings import ColumnRatio

if TYPE_CHECKING:
    import numpy as np


class ReferencePerplexity(ColumnRatio):
    """e to the reference model's mean negative log-likelihood of a token of the texts.

    Each text after its prompt, in the reference's own tokens, all texts together. Low for fluent
    text, and lower still for text that repeats itself: read it beside people's, and beside
    `repetition`.
    """

    name = "reference_perplexity"
    unit = "perplexity of a token"
    direction = "lower"
    range = (1.0, math.inf)
    source = "Jelinek et al. (1977); of generated text: Holtzman et al. (2020), section 5.1"
    summary = "fluency: perplexity of the texts under the reference model, after their prompts"
    columns = ("reference_nats", "reference_tokens")
    bound = ("reference",)

    def of_ratio(self, ratio: np.ndarray) -> np.ndarray:
        import numpy as np

        with np.errstate(over="ignore"):
            return np.asarray(np.exp(ratio))
