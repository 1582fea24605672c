"""A checkpoint that prepares its texts first, as its training did.

Legend: N texts, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from gradus.data.prepare import KEY, Prepare
from gradus.errors import CheckpointError
from gradus.predict.base import Predictor
from gradus.records import CheckpointRef, Target

if TYPE_CHECKING:
    import numpy as np


class PreparedPredictor(Predictor):
    """Another predictor that sees only prepared texts.

    Attributes:
        inner: the predictor of the checkpoint's own kind.
        prepare: what is done to a text before.
    """

    kind: ClassVar[str] = "prepared"
    summary: ClassVar[str] = "a checkpoint of any kind with preparations"

    def __init__(self, inner: Predictor, prepare: Prepare) -> None:
        self.inner, self.prepare = inner, prepare
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
        raise CheckpointError(f"{ref.path}: open a checkpoint with preparations through load")

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Those of the checkpoint."""
        return self.inner.thresholds

    def log_probs(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """See `Predictor.log_probs`."""
        return self.inner.log_probs(self.prepare.texts(texts), progress=progress)

    def numbers(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """See `Predictor.numbers`."""
        return self.inner.numbers(self.prepare.texts(texts), progress=progress)

    def embed(
        self,
        texts: Sequence[str],
        *,
        normalise: bool | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """See `Predictor.embed`."""
        prepared = self.prepare.texts(texts)
        return self.inner.embed(prepared, normalise=normalise, progress=progress)

    @property
    def contract(self) -> Mapping[str, str]:
        """The checkpoint's, and what is done before."""
        from gradus.checkpoints import hash_json

        return {**self.inner.contract, KEY: hash_json(self.prepare.to_json())[:16]}

    @property
    def size_bytes(self) -> int:
        """The checkpoint's."""
        return self.inner.size_bytes
