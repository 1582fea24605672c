"""Which of several continuations a language model finds most probable, on N items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from gradus.metrics.base import Items
from gradus.records import Target

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Options(Items):
    """Log-likelihoods of K options on each of N items; items with fewer have NaN at the end.

    Attributes:
        gold: int64 [N], the right option's index.
        nats: float64 [N, K], summed log-likelihood in nats of each option after its context.
        lengths: int64 [N, K], characters of each option as written; 0 where there is none.
        ids: N content hashes (hex); what pairs the items of two checkpoints.
        labels: none: options belong to their item.
    """

    target: ClassVar[Target] = "option"

    gold: np.ndarray
    nats: np.ndarray
    lengths: np.ndarray
    ids: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.gold)

    def take(self, rows: np.ndarray) -> Options:
        """See `Items.take`."""
        return Options(self.gold[rows], self.nats[rows], self.lengths[rows])

    def joined(self, other: Self) -> Options:
        """See `Items.joined`."""
        import numpy as np

        width = max(self.nats.shape[1], other.nats.shape[1])

        def wide(rows: np.ndarray, empty: float) -> np.ndarray:
            more = ((0, 0), (0, width - rows.shape[1]))
            found: np.ndarray = np.pad(rows, more, constant_values=empty)
            return found

        return Options(
            np.concatenate([self.gold, other.gold]),
            np.concatenate([wide(one.nats, np.nan) for one in (self, other)]),
            np.concatenate([wide(one.lengths, 0) for one in (self, other)]),
        )

    def relabelled(self, labels: tuple[str, ...]) -> Options:
        """Themselves: options have no labels."""
        return self

    def chosen(self, *, normalised: bool = False) -> np.ndarray:
        """int64 [N], the most probable option, by nats or by nats a character."""
        import numpy as np

        scores = self.nats / np.maximum(self.lengths, 1) if normalised else self.nats
        found: np.ndarray = np.argmax(np.where(np.isnan(scores), -np.inf, scores), axis=1)
        return found

    def right(self) -> np.ndarray:
        """See `Items.right`."""
        found: np.ndarray = self.chosen() == self.gold
        return found

    def gold_equals(self, other: Options) -> np.ndarray:
        """See `Items.gold_equals`."""
        found: np.ndarray = self.gold == other.gold
        return found

    def to_columns(self) -> dict[str, list[Any]]:
        """``gold``, ``nats`` and ``lengths``, lists without what an item doesn't have."""
        import numpy as np

        there = ~np.isnan(self.nats)
        return {
            "gold": self.gold.tolist(),
            "nats": [row[has].tolist() for row, has in zip(self.nats, there, strict=True)],
            "lengths": [row[has].tolist() for row, has in zip(self.lengths, there, strict=True)],
        }

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, list[Any]], labels: tuple[str, ...], ids: tuple[str, ...]
    ) -> Options:
        """See `Items.from_columns`."""
        return cls.of(columns["gold"], columns["nats"], columns["lengths"], ids)

    @classmethod
    def of(
        cls,
        gold: list[int],
        nats: list[list[float]],
        lengths: list[list[int]],
        ids: tuple[str, ...] = (),
    ) -> Options:
        """The items of N lists of options, which may differ in length."""
        import numpy as np

        width = max((len(row) for row in nats), default=0)
        scores = np.full((len(gold), width), np.nan)
        sizes = np.zeros((len(gold), width), dtype=np.int64)
        for i, (row, size) in enumerate(zip(nats, lengths, strict=True)):
            scores[i, : len(row)] = row
            sizes[i, : len(size)] = size
        return cls(np.asarray(gold, np.int64), scores, sizes, ids)

    def described(self, row: int) -> tuple[str, str, float | None]:
        """See `Items.described`: options by number, from 1, and the chosen one's probability."""
        import numpy as np
        from scipy.special import softmax

        chosen = int(self.chosen()[row])
        scores = self.nats[row][~np.isnan(self.nats[row])]
        share = float(softmax(scores)[chosen])
        return f"option {int(self.gold[row]) + 1}", f"option {chosen + 1}", share
