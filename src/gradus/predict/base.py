"""What every checkpoint kind offers once it is loaded.

Legend: N texts, K labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from gradus.records import CheckpointRef

if TYPE_CHECKING:
    import numpy as np


class Predictor(ABC):
    """A checkpoint that classifies texts.

    Subclasses load lazily imported back ends in `open` and hold no other state than the weights.
    """

    kind: ClassVar[str]
    summary: ClassVar[str]
    labels: tuple[str, ...]

    @classmethod
    @abstractmethod
    def open(
        cls, ref: CheckpointRef, *, dtype: str = "float32", threads: int | None = None
    ) -> Self:
        """Load the checkpoint; verifies nothing again that `gradus.load` has verified.

        Raises:
            CheckpointError: the content can't be read as this kind.
        """

    @abstractmethod
    def log_probs(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N, K] natural logarithms of the labels' probabilities, in the texts' order.

        `progress` is called with the number of texts done so far. The same text gives the same
        row whatever the batch, up to rounding.
        """

    @property
    @abstractmethod
    def contract(self) -> Mapping[str, str]:
        """Part of a measurement's contract: dtype, backend, max_tokens, tokenizer digest."""

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """Bytes of everything that prediction needs on disk."""
