"""A checkpoint that prepares its texts first, as its training did.

Legend: N texts, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from gradus.data.prepare import KEY, Prepare
from gradus.predict.around import AroundPredictor
from gradus.predict.base import Predictor

if TYPE_CHECKING:
    import numpy as np


class PreparedPredictor(AroundPredictor):
    """Another predictor that sees only prepared texts.

    Attributes:
        prepare: what is done to a text before.
    """

    kind: ClassVar[str] = "prepared"
    summary: ClassVar[str] = "preparations"

    def __init__(self, inner: Predictor, prepare: Prepare) -> None:
        super().__init__(inner)
        self.prepare = prepare

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
