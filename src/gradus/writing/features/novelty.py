"""Feature `novelty`: what of a text doesn't stand in the training text, and its longest copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from gradus.writing.features.base import Feature, FeatureContext, Need
from gradus.writing.records import Writing

if TYPE_CHECKING:
    import numpy as np

    from gradus.writing.index import TrainingIndex


class Novelty(Feature):
    """N-grams of 4 and 8 words that the training text hasn't; the longest verbatim overlap.

    N-grams as McCoy et al. (2023) count them: each as often as it stands in the text, words in
    lower case and without punctuation. The overlap is in characters, case and spaces included, with
    one document. Both are looked up in an index of the train split, which is built once for each.
    """

    name: ClassVar[str] = "novelty.v1"
    summary: ClassVar[str] = "n-grams that the training text hasn't, and the longest copy from it"
    needs: ClassVar[tuple[Need, ...]] = ("training",)
    columns: ClassVar[tuple[str, ...]] = (
        "novel_4",
        "grams_4",
        "novel_8",
        "grams_8",
        "longest_copy",
    )

    def compute(
        self, texts: Sequence[Writing], context: FeatureContext
    ) -> Mapping[str, np.ndarray]:
        """See `Feature.compute`.

        Raises:
            StorageError: the index can't be written.
            DataError: it is damaged.
        """
        import numpy as np

        from gradus.writing.index import open_index

        assert context.training is not None, "features are computed where what they need is there"
        index = open_index(context.training, context.place, context.progress)
        written = [one.text for one in texts]
        found = {"longest_copy": index.longest(written).astype(np.float64)}
        for size in index.sizes:
            found[f"novel_{size}"], found[f"grams_{size}"] = novel(index, written, size)
        return {name: found[name] for name in self.columns}


def novel(index: TrainingIndex, texts: Sequence[str], size: int) -> tuple[np.ndarray, np.ndarray]:
    """For each text its n-grams that the index hasn't, and all its n-grams: float64 [N] both."""
    import numpy as np

    from gradus.data.overlap.ngrams import gram_hashes, word_hashes, words

    hashes = []
    for text in texts:
        ((_, found),) = gram_hashes(word_hashes(words(text)), [size])
        hashes.append(found)
    counts = np.array([len(found) for found in hashes], np.int64)
    owners = np.repeat(np.arange(len(texts)), counts)
    flat = np.concatenate([np.zeros(0, np.uint64), *hashes])
    new = np.bincount(owners[~index.holds(size, flat)], minlength=len(texts))
    return new.astype(np.float64), counts.astype(np.float64)
