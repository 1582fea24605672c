"""A predictor around another one; what it leaves alone, the inner one does.

Legend: N texts, K labels, W words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from gradus.errors import CheckpointError
from gradus.predict.base import Predictor
from gradus.records import CheckpointRef, Span, Target

if TYPE_CHECKING:
    import numpy as np

    from gradus.predict.replies import Said


class AroundPredictor(Predictor):
    """Base of what changes the texts before, or the answers after, another predictor.

    Attributes:
        inner: the predictor that it stands around.
    """

    def __init__(self, inner: Predictor) -> None:
        self.inner = inner
        self.labels = inner.labels
        self.target: Target = inner.target

    @classmethod
    def open(
        cls, ref: CheckpointRef, *, dtype: str = "float32", threads: int | None = None
    ) -> Self:
        """It has no files of its own: `gradus.predict.load` puts it around what it opens.

        Raises:
            CheckpointError: always.
        """
        raise CheckpointError(f"{ref.path}: open a checkpoint with {cls.summary} through load")

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Those of the checkpoint."""
        return self.inner.thresholds

    @property
    def abstain_below(self) -> float | None:
        """That of the checkpoint."""
        return self.inner.abstain_below

    @property
    def label_map(self) -> Mapping[str, str]:
        """That of the checkpoint."""
        return self.inner.label_map

    def log_probs(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """See `Predictor.log_probs`."""
        return self.inner.log_probs(texts, progress=progress)

    def numbers(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """See `Predictor.numbers`."""
        return self.inner.numbers(texts, progress=progress)

    def spans(
        self,
        texts: Sequence[str],
        *,
        words: Sequence[Sequence[tuple[int, int]]] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[tuple[Span, ...]]:
        """See `Predictor.spans`."""
        return self.inner.spans(texts, words=words, progress=progress)

    @property
    def tags(self) -> tuple[str, ...]:
        """See `Predictor.tags`."""
        return self.inner.tags

    def tag_log_probs(
        self,
        texts: Sequence[str],
        *,
        words: Sequence[Sequence[tuple[int, int]]] | None = None,
    ) -> np.ndarray:
        """See `Predictor.tag_log_probs`."""
        return self.inner.tag_log_probs(texts, words=words)

    def replies(
        self,
        texts: Sequence[str],
        *,
        references: Sequence[str] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[Said]:
        """See `Predictor.replies`."""
        return self.inner.replies(texts, references=references, progress=progress)

    def embed(
        self,
        texts: Sequence[str],
        *,
        normalise: bool | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """See `Predictor.embed`."""
        return self.inner.embed(texts, normalise=normalise, progress=progress)

    @property
    def contract(self) -> Mapping[str, str]:
        """The checkpoint's."""
        return self.inner.contract

    @property
    def size_bytes(self) -> int:
        """The checkpoint's."""
        return self.inner.size_bytes
