"""Feature `reference`: how probable a reference model finds a text after its prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from gradus.writing.features.base import Feature, FeatureContext, Need
from gradus.writing.records import Writing

if TYPE_CHECKING:
    import numpy as np

    from gradus.scoring.records import Engine


class Reference(Feature):
    """The text's negative log-likelihood in nats under the reference, and its tokens.

    Prompt and text are tokenised as one string, after the reference's beginning of text; a token
    belongs to the text if its last character does. What is longer than the model's window is read
    in windows without overlap. The tokens are the reference's, the same for all writers.
    """

    name: ClassVar[str] = "reference.v1"
    summary: ClassVar[str] = "how probable the reference model finds each text after its prompt"
    needs: ClassVar[tuple[Need, ...]] = ("reference",)
    columns: ClassVar[tuple[str, ...]] = ("reference_nats", "reference_tokens")

    def compute(
        self, texts: Sequence[Writing], context: FeatureContext
    ) -> Mapping[str, np.ndarray]:
        """See `Feature.compute`; NaN for an empty text.

        Raises:
            UsageError: the reference is a masked language model.
        """
        import numpy as np

        from gradus import scoring

        assert context.reference is not None, "features are computed where what they need is there"
        key = f"reference {context.reference.digest} {context.dtype} {context.threads}"
        if key not in context.opened:
            context.opened[key] = scoring.open(
                context.reference, dtype=context.dtype, threads=context.threads
            )
        engine: Engine = context.opened[key]
        found = np.full((len(texts), 2), np.nan)
        asked = [row for row, one in enumerate(texts) if one.text]
        total = float(len(asked))
        answers = engine.rolling_parts(
            [texts[row].prompt + texts[row].text for row in asked],
            [_ends(texts[row]) for row in asked],
            progress=lambda done: context.progress(done, total),
        )
        for row, parts in zip(asked, answers, strict=True):
            found[row] = -parts[-1].nats, parts[-1].tokens
        return dict(zip(self.columns, found.T, strict=True))


def _ends(writing: Writing) -> list[int]:
    """Where prompt and text end in both joined; an empty prompt has no stretch of its own."""
    whole = len(writing.prompt) + len(writing.text)
    return [len(writing.prompt), whole] if writing.prompt else [whole]
