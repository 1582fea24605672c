"""Features from embeddings: how a text hangs together, and how near it is to its prompt.

Legend: N writings, S sentences, d hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from gradus.writing.features.base import Feature, FeatureContext, Need
from gradus.writing.records import Writing

if TYPE_CHECKING:
    import numpy as np


class Vectors(Feature):
    """Likeness of neighbouring sentences, and of text and prompt, by cosines of embeddings."""

    name: ClassVar[str] = "vectors.v1"
    summary: ClassVar[str] = "cosines of neighbouring sentences, and of text and prompt"
    needs: ClassVar[tuple[Need, ...]] = ("embedder",)
    columns: ClassVar[tuple[str, ...]] = ("coherence", "relevance")

    def compute(
        self, texts: Sequence[Writing], context: FeatureContext
    ) -> Mapping[str, np.ndarray]:
        """Embed sentences, texts and prompts, all at once.

        Raises:
            CheckpointError: the embedder can't be read.
        """
        import numpy as np

        from gradus.writing.features.embedding import embed_once
        from gradus.writing.sentences import split_sentences

        sentences = [split_sentences(one.text) for one in texts]
        prompts, whole = [one.prompt for one in texts], [one.text.strip() for one in texts]
        vectors = embed_once([*prompts, *whole, *(s for of in sentences for s in of)], context)
        asked, written, parts = np.split(vectors, [len(texts), 2 * len(texts)])
        ends = np.cumsum([len(of) for of in sentences])
        empty = np.array([not text for text in whole], dtype=bool)
        near = (asked.astype(np.float64) * written).sum(axis=1)
        return {
            "coherence": np.array([continuity(own) for own in np.split(parts, ends)[: len(texts)]]),
            "relevance": np.where(empty, np.nan, near),
        }


def continuity(vectors: np.ndarray) -> float:
    """The mean cosine of neighbouring rows of unit vectors [S, d]; NaN for fewer than two."""
    import numpy as np

    if len(vectors) < 2:
        return float("nan")
    return float((vectors[1:].astype(np.float64) * vectors[:-1]).sum(axis=1).mean())
