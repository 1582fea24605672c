# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""F1 of the words that a reply shares with its references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from gradus.metrics.exact_match import NORMALISATION, normalised
from gradus.metrics.means import MeanMetric
from gradus.metrics.replies import Replies

if TYPE_CHECKING:
    import numpy as np


@lru_cache(maxsize=65_536)
def shared_words(reply: str, reference: str) -> float:
    """F1 of two bags of words, both normalised; where one is empty, whether both are.

    >>> shared_words("a red car", "The red, old car")
    0.8
    """
    said, right = normalised(reply).split(), normalised(reference).split()
    if not said or not right:
        return float(said == right)
    hits = sum((Counter(said) & Counter(right)).values())
    return 2 * hits / (len(said) + len(right))


class _WordMetric(MeanMetric):
    """What the two share; they differ in how several references are taken together."""

    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    needs = "replies"
    facts = {"normalisation": NORMALISATION}  # noqa: RUF012  # declared as a ClassVar by the base
    bound = ("format", "decoding")

    def of_reply(self, reply: str, references: tuple[str, ...]) -> float:
        """The F1 of one reply."""
        raise NotImplementedError

    def per_item(self, predictions: Replies) -> np.ndarray:
        return _each(self.of_reply, predictions)


def _each(score: Callable[[str, tuple[str, ...]], float], replies: Replies) -> np.ndarray:
    import numpy as np

    pairs = zip(replies.texts, replies.references, strict=True)
    return np.array([score(text, references) for text, references in pairs], dtype=np.float64)


class TokenF1(_WordMetric):
    """Mean over replies of the F1 with the nearest reference; NaN without items."""

    name = "token_f1"
    source = "Rajpurkar et al. (2016), SQuAD: 100,000+ questions for machine comprehension of text"
    summary = "replies: F1 of the words shared with the nearest right answer"

    def of_reply(self, reply: str, references: tuple[str, ...]) -> float:
        return max(shared_words(reply, reference) for reference in references)


class CoqaF1(_WordMetric):
    """Mean over replies of the F1, as CoQA takes several people's answers together.

    Each answer is left out once, the nearest of the others counts, and the mean over these is the
    reply's: what a person's answer is measured by too. With one reference it is `token_f1`.
    """

    name = "coqa_f1"
    source = "Reddy, Chen and Manning (2019), CoQA: a conversational question answering challenge"
    summary = "replies: F1 of shared words, each of several right answers left out once"

    def of_reply(self, reply: str, references: tuple[str, ...]) -> float:
        scores = [shared_words(reply, reference) for reference in references]
        if len(scores) == 1:
            return scores[0]
        first, second = sorted(scores, reverse=True)[:2]
        # Leaving out the nearest leaves the second; leaving out any other leaves the nearest.
        return ((len(scores) - 1) * first + second) / len(scores)
