"""Features of whom and what a text speaks of.

Legend: N writings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from gradus.writing.features.base import Feature, FeatureContext
from gradus.writing.records import Writing

if TYPE_CHECKING:
    import numpy as np


class Entities(Feature):
    """Mentions of names, and how many of them take up one that prompt or text had before."""

    name: ClassVar[str] = "entities.v1"
    summary: ClassVar[str] = "mentions of names, and those of names already introduced"
    columns: ClassVar[tuple[str, ...]] = ("names_known", "names_mentioned")

    def compute(
        self, texts: Sequence[Writing], context: FeatureContext
    ) -> Mapping[str, np.ndarray]:
        """Count names by the rule of `gradus.writing.names`.

        Raises:
            MissingExtra: a text is Chinese and jieba isn't installed.
        """
        import numpy as np

        counts = [mentions(one.prompt, one.text) for one in texts]
        known, mentioned = np.array(counts, dtype=np.float64).reshape(-1, 2).T
        return {"names_known": known, "names_mentioned": mentioned}


def mentions(prompt: str, text: str) -> tuple[int, int]:
    """How many of a text's mentions take up a name of the prompt or from earlier, and how many
    there are.

    A name that begins in the prompt and ends in the text is the prompt's.

    >>> mentions("Then came Tom Sawyer.", " And Tom saw Becky. And Becky saw Huck.")
    (2, 4)
    """
    from gradus.writing.names import find_names, same_name

    before: list[str] = []
    known = mentioned = 0
    for name in find_names(prompt + text):
        if name.start >= len(prompt):
            mentioned += 1
            known += any(same_name(name.text, one) for one in before)
        before.append(name.text)
    return known, mentioned
