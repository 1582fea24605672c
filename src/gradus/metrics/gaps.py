"""How a masked language model filled the gaps in N texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from gradus.metrics.base import Items
from gradus.records import Target

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Gaps(Items):
    """Hidden tokens of N texts (documents, or blocks of them).

    Attributes:
        nats: float64 [N], the summed log-likelihood of each text's hidden tokens, 0 or less.
        tokens: int64 [N], how many they are.
        correct: int64 [N], at how many of them the hidden token was the most probable one.
        ids: N content hashes (hex); what pairs the items of two checkpoints.
        labels: none.
    """

    target: ClassVar[Target] = "masked"

    nats: np.ndarray
    tokens: np.ndarray
    correct: np.ndarray
    ids: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.nats)

    def take(self, rows: np.ndarray) -> Gaps:
        """See `Items.take`."""
        return Gaps(self.nats[rows], self.tokens[rows], self.correct[rows])

    def joined(self, other: Self) -> Gaps:
        """See `Items.joined`."""
        import numpy as np

        return Gaps(
            nats=np.concatenate([self.nats, other.nats]),
            tokens=np.concatenate([self.tokens, other.tokens]),
            correct=np.concatenate([self.correct, other.correct]),
        )

    def relabelled(self, labels: tuple[str, ...]) -> Gaps:
        """Themselves: gaps have no labels."""
        return self

    def right(self) -> np.ndarray:
        """bool [N], whether every gap was filled with what had stood there."""
        found: np.ndarray = self.correct == self.tokens
        return found

    def gold_equals(self, other: Gaps) -> np.ndarray:
        """bool [N], whether as many tokens were hidden."""
        found: np.ndarray = self.tokens == other.tokens
        return found

    def to_columns(self) -> dict[str, list[Any]]:
        """``nats``, ``tokens`` and ``correct``."""
        return {name: getattr(self, name).tolist() for name in ("nats", "tokens", "correct")}

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, list[Any]], labels: tuple[str, ...], ids: tuple[str, ...]
    ) -> Gaps:
        """See `Items.from_columns`."""
        import numpy as np

        return cls(
            nats=np.asarray(columns["nats"], np.float64),
            tokens=np.asarray(columns["tokens"], np.int64),
            correct=np.asarray(columns["correct"], np.int64),
            ids=ids,
        )

    def described(self, row: int) -> tuple[str, str, float | None]:
        """See `Items.described`: gaps, those filled rightly, and the mean probability."""
        import math

        tokens = int(self.tokens[row])
        mean = math.exp(float(self.nats[row]) / max(tokens, 1))
        return f"{tokens} gaps", f"{self.correct[row]} filled rightly", mean
