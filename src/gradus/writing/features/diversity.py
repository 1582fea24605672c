"""Feature `diversity`: how varied a writer's texts are, within each and among each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from gradus.writing.features.base import Feature, FeatureContext
from gradus.writing.records import Writing

if TYPE_CHECKING:
    import numpy as np


class Diversity(Feature):
    """Distinct n-grams, self-BLEU, entropy and repetition; see `gradus.writing.diversity`.

    Words are runs of letters and digits in lower case; a character of a script that is written
    without spaces is one.
    """

    name: ClassVar[str] = "diversity.v1"
    summary: ClassVar[str] = "how varied the texts are: distinct n-grams, self-BLEU, repetition"
    columns: ClassVar[tuple[str, ...]] = (
        "distinct_1",
        "distinct_2",
        "distinct_3",
        "self_bleu",
        "entropy",
        "repeated_4",
        "all_4",
    )

    def compute(
        self, texts: Sequence[Writing], context: FeatureContext
    ) -> Mapping[str, np.ndarray]:
        """See `Feature.compute`; texts to one prompt are left out together."""
        import numpy as np

        from gradus.data.overlap.ngrams import words
        from gradus.writing import diversity

        found = [words(one.text) for one in texts]
        _, at = np.unique([one.prompt_id for one in texts], return_inverse=True)
        groups = at.reshape(-1).astype(np.int64)
        repeated, everything = diversity.repeated(found, 4)
        return {
            **{f"distinct_{size}": diversity.distinct(found, groups, size) for size in (1, 2, 3)},
            "self_bleu": diversity.self_bleu(found, groups),
            "entropy": diversity.entropy(found, groups),
            "repeated_4": repeated,
            "all_4": everything,
        }
