"""How well a masked language model fills the gaps in the documents of a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from gradus.benchmarks.unlabelled import CorpusItems, CorpusTask
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.metrics.base import Items
    from gradus.metrics.gaps import Gaps
    from gradus.scoring.records import Progress
    from gradus.scoring.text import TextScorer

SHARE: Final = 0.15
"""Share of tokens behind a mask (Devlin et al. 2019, section 3.1)."""
WINDOW: Final = 512
"""Tokens of a window where neither the plan nor the model says how many."""


class MaskedBenchmark(CorpusTask):
    """Fixed gaps in a corpus's held-out documents, filled from both sides."""

    name: ClassVar[str] = "masked.v1"
    summary: ClassVar[str] = "fixed gaps in the held-out documents of a corpus, filled"
    protocol: ClassVar[str] = (
        "Each item is cut into windows of the model's limit (512 tokens where it has none; "
        "measure.window says otherwise), with the tokenizer's own tokens around each. In every "
        "window 15 % of the tokens, one at least, stand behind the mask token, none is replaced "
        "by another or kept; which ones follows from the window's tokens alone, so that every "
        "checkpoint with the same tokenizer is asked about the same gaps. An item is a document; "
        "of fewer than 30 documents it is a block of 2,000 characters."
    )
    metrics: ClassVar[tuple[str, ...]] = ("masked_loss", "masked_accuracy")
    compared: ClassVar[tuple[str, ...]] = ("masked_loss", "masked_accuracy")
    target: ClassVar[Target | None] = "masked"
    kind: ClassVar[Target] = "masked"
    asks: ClassVar[str] = "masked"

    @classmethod
    def items(cls) -> type[Items]:
        """Gaps."""
        from gradus.metrics.gaps import Gaps

        return Gaps

    @classmethod
    def ask(
        cls,
        items: CorpusItems,
        engine: TextScorer,
        *,
        window: int | None,
        stride: int | None,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> Gaps:
        """See `CorpusTask.ask`; windows are apart, whatever `stride` says."""
        import numpy as np

        from gradus.metrics.gaps import Gaps
        from gradus.scoring.gaps import fill_all

        ends = np.cumsum([len(of) for of in items.ends])

        def told(done: int) -> None:
            if progress is not None:
                progress(int(np.searchsorted(ends, done, side="right")))

        filled = fill_all(
            engine,
            (part for row in range(len(items.ends)) for part in items.parts(row)),
            items.ids,
            window=_window(engine, window),
            share=SHARE,
            journal=journal,
            progress=told,
        )
        return Gaps(
            nats=np.asarray([one.nats for one in filled], np.float64),
            tokens=np.asarray([one.tokens for one in filled], np.int64),
            correct=np.asarray([one.correct for one in filled], np.int64),
            ids=items.ids,
        )

    @classmethod
    def terms(cls, engine: TextScorer, window: int | None, stride: int | None) -> dict[str, str]:
        """See `CorpusTask.terms`."""
        return {"window": str(_window(engine, window)), "masked": f"{SHARE:.0%}, all behind masks"}


def _window(engine: TextScorer, window: int | None) -> int:
    sizes = [size for size in (window, engine.limit) if size is not None]
    return min(sizes, default=WINDOW)
