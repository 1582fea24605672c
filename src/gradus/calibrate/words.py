"""What is true of the words of texts with spans.

Legend: W words of all texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradus.errors import DataError
from gradus.objectives.tagging_sequences import tagset_of, word_spans

if TYPE_CHECKING:
    import numpy as np

    from gradus.data.dataset import Split

Words = Sequence[tuple[int, int]]


def words_of(split: Split) -> list[Words]:
    """Each text's words as the data give them, or as they are found where they don't."""
    from gradus.data.words import find_words

    if split.words is None:
        return [find_words(text) for text in split.texts]
    return list(split.words)


def gold_tags(split: Split, words: Sequence[Words], tags: Sequence[str]) -> np.ndarray:
    """int64 [W]: the true tag of every word; -1 in texts whose spans these tags can't say."""
    import numpy as np

    tagset = tagset_of(tags)
    kinds = {name: number for number, name in enumerate(tagset.types)}
    found = []
    for spans, of in zip(split.labels, words, strict=True):
        try:
            found.append(tagset.encode(word_spans(spans, of, kinds), len(of)))
        except (DataError, KeyError):
            found.append(np.full(len(of), -1, dtype=np.int64))
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
