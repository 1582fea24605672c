"""Feature `brokenness`: how many of a text's sentences can't stand as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from gradus.writing.features.base import Feature, FeatureContext
from gradus.writing.records import Writing

if TYPE_CHECKING:
    import numpy as np


class Brokenness(Feature):
    """Sentences, and those with a fault on their surface, English and Chinese.

    What counts as a fault is said in `gradus.writing.faults`, what as a sentence in
    `gradus.writing.sentences`. Sentences are those of prompt and text together that end in the
    text. A last one without an end isn't counted where the text was cut.
    """

    name: ClassVar[str] = "brokenness.v1"
    summary: ClassVar[str] = "sentences of a text, and those that are broken by a stated rule"
    columns: ClassVar[tuple[str, ...]] = ("broken", "sentences")

    def compute(
        self, texts: Sequence[Writing], context: FeatureContext
    ) -> Mapping[str, np.ndarray]:
        """See `Feature.compute`."""
        import numpy as np

        from gradus.writing.faults import faults

        counts = []
        for one in texts:
            found = [bool(faults(sentence)) for sentence in written_sentences(one)]
            counts.append((sum(found), len(found)))
        rows = np.array(counts, np.float64).reshape(-1, 2)
        return dict(zip(self.columns, rows.T, strict=True))


def written_sentences(writing: Writing) -> Iterator[str]:
    """The sentences that the writer wrote, or wrote to their end, without one that was cut off."""
    from gradus.writing.faults import unended
    from gradus.writing.sentences import sentence_spans

    whole = writing.prompt + writing.text
    if not writing.text.strip():
        return
    for start, end in sentence_spans(whole):
        sentence = whole[start:end]
        cut = not writing.ended and end >= len(whole.rstrip()) and unended(sentence)
        if end > len(writing.prompt) and not cut:
            yield sentence
