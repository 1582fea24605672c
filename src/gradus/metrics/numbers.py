"""Numbers predicted on items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gradus.metrics.base import Items
from gradus.records import Target

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Numbers(Items):
    """Predictions on N items that each have a number.

    Attributes:
        gold: float64 [N], the true numbers.
        predicted: float64 [N].
        ids: N content hashes (hex); what pairs the items of two checkpoints.
        labels: none.
    """

    target: ClassVar[Target] = "number"

    gold: np.ndarray
    predicted: np.ndarray
    ids: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.gold)

    def take(self, rows: np.ndarray) -> Numbers:
        """See `Items.take`."""
        return Numbers(self.gold[rows], self.predicted[rows])

    def joined(self, other: Numbers) -> Numbers:
        """See `Items.joined`."""
        import numpy as np

        return Numbers(
            np.concatenate([self.gold, other.gold]),
            np.concatenate([self.predicted, other.predicted]),
        )

    def relabelled(self, labels: tuple[str, ...]) -> Numbers:
        """Themselves: numbers have no labels."""
        return self

    def right(self) -> np.ndarray:
        """bool [N], where the error is below the median error: half of all items, or nearly.

        There is no right and wrong in numbers; this is what lists of items are sorted by.
        """
        import numpy as np

        errors = np.abs(self.gold - self.predicted)
        found: np.ndarray = errors <= (np.median(errors) if len(errors) else 0.0)
        return found

    def gold_equals(self, other: Numbers) -> np.ndarray:
        """See `Items.gold_equals`."""
        found: np.ndarray = self.gold == other.gold
        return found

    def to_columns(self) -> dict[str, list[Any]]:
        """``gold`` and ``predicted``."""
        return {"gold": self.gold.tolist(), "predicted": self.predicted.tolist()}

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, list[Any]], labels: tuple[str, ...], ids: tuple[str, ...]
    ) -> Numbers:
        """See `Items.from_columns`."""
        import numpy as np

        gold, predicted = (np.asarray(columns[n], np.float64) for n in ("gold", "predicted"))
        return cls(gold=gold, predicted=predicted, ids=ids)

    def described(self, row: int) -> tuple[str, str, float | None]:
        """See `Items.described`; numbers come without a probability."""
        return f"{self.gold[row]:.4g}", f"{self.predicted[row]:.4g}", None
