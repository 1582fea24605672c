"""ROUGE by the package rouge-score: longest common subsequence, single words, pairs of words."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from gradus.errors import MissingExtra
from gradus.metrics.means import MeanMetric
from gradus.metrics.replies import Replies

if TYPE_CHECKING:
    import numpy as np


@cache
def _scorer(kind: str) -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise MissingExtra("rouge-score", "generation", "ROUGE") from error
    return RougeScorer([kind], use_stemmer=True)


@lru_cache(maxsize=65_536)
def _rouge(kind: str, reply: str, reference: str) -> float:
    return float(_scorer(kind).score(reference, reply)[kind].fmeasure)


class _Rouge(MeanMetric):
    """Mean over replies of ROUGE's F1 with the nearest reference; NaN without items.

    Tokens are runs of a-z and 0-9 in lower case, so a text in another script scores 0.
    """

    kind: ClassVar[str]
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = "Lin (2004), ROUGE: a package for automatic evaluation of summaries; rouge-score"
    needs = "replies"
    facts = {  # noqa: RUF012  # declared as a ClassVar by the base
        "implementation": "rouge-score",
        "stemmer": "Porter",
        "tokens": "a-z and 0-9, lower case",
        "of": "F1, nearest reference",
    }
    bound = ("format", "decoding")

    def per_item(self, predictions: Replies) -> np.ndarray:
        import numpy as np

        pairs = zip(predictions.texts, predictions.references, strict=True)
        return np.array(
            [max(_rouge(self.kind, text, one) for one in references) for text, references in pairs],
            dtype=np.float64,
        )


class RougeL(_Rouge):
    """ROUGE-L: the longest common subsequence of the whole texts, line breaks aside."""

    name = "rouge_l"
    summary = "replies: F1 of the longest common subsequence of words"
    kind = "rougeL"


class Rouge1(_Rouge):
    """ROUGE-1: single words."""

    name = "rouge_1"
    summary = "replies: F1 of shared words, stemmed"
    kind = "rouge1"


class Rouge2(_Rouge):
    """ROUGE-2: pairs of neighbouring words."""

    name = "rouge_2"
    summary = "replies: F1 of shared pairs of neighbouring words, stemmed"
    kind = "rouge2"
