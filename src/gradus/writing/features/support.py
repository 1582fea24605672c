"""Feature `support`: how many of a text's names and numbers its source or prompt has too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from gradus.writing.features.base import Feature, FeatureContext
from gradus.writing.records import Writing

if TYPE_CHECKING:
    import numpy as np


class Support(Feature):
    """Names and numbers that a text states, and those that neither its source nor prompt states.

    Each name and each number counts once a text. A name has support when all of its words but
    titles stand in source or prompt, in any case; a number when its value does, however it is
    written. What counts as either is said in `gradus.writing.names` and `gradus.writing.numbers`.
    Whether it is true of whom or what it is said of isn't asked.
    """

    name: ClassVar[str] = "support.v1"
    summary: ClassVar[str] = "names and numbers of a text, and those that nothing supports"
    columns: ClassVar[tuple[str, ...]] = ("unsupported", "stated")

    def compute(
        self, texts: Sequence[Writing], context: FeatureContext
    ) -> Mapping[str, np.ndarray]:
        """See `Feature.compute`.

        Raises:
            MissingExtra: a text is Chinese and jieba isn't installed.
        """
        import numpy as np

        counts = [unsupported(one.text, f"{one.prompt}\n{one.source or ''}") for one in texts]
        found = np.array(counts, np.float64).reshape(-1, 2)
        return dict(zip(self.columns, found.T, strict=True))


def unsupported(text: str, evidence: str) -> tuple[int, int]:
    """How many different names and numbers of a text the evidence lacks, and how many it has.

    >>> unsupported("Then Ann paid 300 pounds to Bob.", "A letter to Bob: three hundred pounds")
    (1, 3)
    """
    from gradus.writing.names import find_names, telling_words
    from gradus.writing.numbers import find_numbers

    # A Chinese name has no words that could be looked for one by one.
    names = {
        telling_words(name.text) - {""} or frozenset([name.text]): name.text
        for name in find_names(text, beside=evidence)
    }
    known, shown = telling_words(evidence), evidence.casefold()
    lacking = sum(
        not (words <= known or written.casefold() in shown) for words, written in names.items()
    )
    numbers, given = set(find_numbers(text)), set(find_numbers(evidence))
    return lacking + len(numbers - given), len(names) + len(numbers)
