# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Exact match of replies, and the normalisation that answers are compared under."""

from __future__ import annotations

import re
import string
from functools import lru_cache
from typing import TYPE_CHECKING

from gradus.metrics.means import ProportionMetric
from gradus.metrics.replies import Replies

if TYPE_CHECKING:
    import numpy as np

NORMALISATION = "lower case; no ASCII punctuation; no a, an, the; single spaces"
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


@lru_cache(maxsize=65_536)
def normalised(text: str) -> str:
    """An answer as SQuAD and CoQA compare it: `NORMALISATION`, in this order.

    >>> normalised("The  U.S. Army, a force")
    'us army force'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


class ExactMatch(ProportionMetric):
    """Share of replies that equal one of their references, both normalised; NaN without items."""

    name = "exact_match"
    direction = "higher"
    source = "Rajpurkar et al. (2016), SQuAD: 100,000+ questions for machine comprehension of text"
    summary = "replies: share that is one of the right answers, case, punctuation, articles aside"
    needs = "replies"
    facts = {"normalisation": NORMALISATION}  # noqa: RUF012  # declared as a ClassVar by the base
    bound = ("format", "decoding")

    def successes(self, predictions: Replies) -> np.ndarray:
        import numpy as np

        pairs = zip(predictions.texts, predictions.references, strict=True)
        return np.array(
            [normalised(text) in map(normalised, references) for text, references in pairs],
            dtype=np.bool_,
        )
