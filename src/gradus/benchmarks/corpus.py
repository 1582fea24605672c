"""How probable a causal language model finds the documents of a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, overload

from gradus.benchmarks.unlabelled import CorpusItems, CorpusTask
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.data.corpora import Documents
    from gradus.metrics.texts import Texts
    from gradus.scoring.records import Progress
    from gradus.scoring.text import TextScorer


class CorpusBenchmark(CorpusTask):
    """Log-likelihoods of a corpus's held-out documents."""

    name: ClassVar[str] = "corpus.v1"
    summary: ClassVar[str] = "log-likelihoods of the held-out documents of a corpus"
    protocol: ClassVar[str] = (
        "Each document by itself, in windows of the model's limit (2,048 tokens where it has none; "
        "measure.window and measure.stride say otherwise) behind the tokenizer's begin or end of "
        "text where it has one; every token is scored once. Bytes and characters are the "
        "document's own, whatever the tokenizer. An item is a document; of fewer than 30 "
        "documents it is a block of 2,000 characters, and intervals are then of these documents "
        "alone."
    )
    metrics: ClassVar[tuple[str, ...]] = (
        "bits_per_byte",
        "token_perplexity",
        "byte_perplexity",
        "bits_per_character",
        "log_likelihood_nats",
    )
    compared: ClassVar[tuple[str, ...]] = ("bits_per_byte", "token_perplexity")
    kind: ClassVar[Target] = "text"
    asks: ClassVar[str] = "text"

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
    ) -> Texts:
        """See `CorpusTask.ask`."""
        import numpy as np

        from gradus.metrics.texts import Texts

        width, step = _windows(engine, window, stride)
        rolled = engine.rolling_parts(
            _Texts(items.documents),
            items.ends,
            window=width,
            stride=step,
            bos=_begins(engine),
            journal=journal,
            progress=progress,
        )
        parts = [part for document in rolled for part in document]
        counts = {name: np.asarray(of, np.int64) for name, of in items.counts().items()}
        return Texts(
            nats=np.asarray([part.nats for part in parts], np.float64),
            tokens=np.asarray([part.tokens for part in parts], np.int64),
            words=counts["words"],
            characters=counts["characters"],
            bytes=counts["bytes"],
            ids=items.ids,
        )

    @classmethod
    def terms(cls, engine: TextScorer, window: int | None, stride: int | None) -> dict[str, str]:
        """See `CorpusTask.terms`."""
        width, step = _windows(engine, window, stride)
        begins = "yes" if _begins(engine) else "no"
        return {"window": str(width), "stride": str(step), "bos": begins}


def _windows(engine: TextScorer, window: int | None, stride: int | None) -> tuple[int, int]:
    """Window and stride in tokens: at most the model's limit, and the window."""
    from gradus.scoring.records import DEFAULT_WINDOW

    sizes = [size for size in (window, engine.limit) if size is not None]
    width = min(sizes, default=DEFAULT_WINDOW)
    return width, min(stride or width, width)


def _begins(engine: TextScorer) -> bool:
    """Whether the tokenizer has something to begin a text with."""
    from gradus.scoring.seam import leading_tokens, prefix_token

    tokenizer = engine.tokenizer
    return bool(leading_tokens(tokenizer)) or prefix_token(tokenizer) is not None


class _Texts(Sequence[str]):
    """The documents' texts, each read when it is asked for."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def __len__(self) -> int:
        return len(self._documents)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return _Texts(self._documents[index])
        return self._documents[index].text

    def __iter__(self) -> Iterator[str]:
        return self._documents.texts()
