"""Sets of labels predicted on items."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gradus.metrics.base import Items
from gradus.records import Target

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class LabelSets(Items):
    """Predictions on N items that each have any number of K labels.

    Attributes:
        gold: bool [N, K], the labels an item has.
        predicted: bool [N, K], the labels it is said to have.
        log_probs: float64 [N, K] natural logarithms of each label's own probability.
        labels: the K labels, in the order of the columns.
        ids: N content hashes (hex); what pairs the items of two checkpoints.
    """

    target: ClassVar[Target] = "labels"

    gold: np.ndarray
    predicted: np.ndarray
    log_probs: np.ndarray
    labels: tuple[str, ...]
    ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.gold)

    def take(self, rows: np.ndarray) -> LabelSets:
        """See `Items.take`."""
        return LabelSets(self.gold[rows], self.predicted[rows], self.log_probs[rows], self.labels)

    def joined(self, other: LabelSets) -> LabelSets:
        """See `Items.joined`."""
        import numpy as np

        return LabelSets(
            np.concatenate([self.gold, other.gold]),
            np.concatenate([self.predicted, other.predicted]),
            np.concatenate([self.log_probs, other.log_probs]),
            self.labels,
        )

    def relabelled(self, labels: tuple[str, ...]) -> LabelSets:
        """See `Items.relabelled`."""
        order = [self.labels.index(label) for label in labels]
        return LabelSets(
            self.gold[:, order],
            self.predicted[:, order],
            self.log_probs[:, order],
            labels,
            self.ids,
        )

    def right(self) -> np.ndarray:
        """bool [N], where the predicted set is the true one."""
        found: np.ndarray = (self.gold == self.predicted).all(axis=1)
        return found

    def gold_equals(self, other: LabelSets) -> np.ndarray:
        """See `Items.gold_equals`."""
        found: np.ndarray = (self.gold == other.gold).all(axis=1)
        return found

    def to_columns(self) -> dict[str, list[Any]]:
        """``gold`` and ``predicted`` as lists of label names, ``log_probs``."""
        return {
            "gold": [self._names(row) for row in self.gold],
            "predicted": [self._names(row) for row in self.predicted],
            "log_probs": self.log_probs.tolist(),
        }

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, list[Any]], labels: tuple[str, ...], ids: tuple[str, ...]
    ) -> LabelSets:
        """See `Items.from_columns`."""
        import numpy as np

        return cls(
            gold=indicators(columns["gold"], labels),
            predicted=indicators(columns["predicted"], labels),
            log_probs=np.asarray(columns["log_probs"], np.float64).reshape(len(ids), len(labels)),
            labels=labels,
            ids=ids,
        )

    def described(self, row: int) -> tuple[str, str, float | None]:
        """The sets, and the probability of the least sure of the labels that are said."""
        said = self.log_probs[row][self.predicted[row]]
        least = math.exp(float(said.min())) if len(said) else None
        names = self._names(self.gold[row]), self._names(self.predicted[row])
        gold, predicted = (", ".join(each) or "none" for each in names)
        return gold, predicted, least

    def _names(self, row: np.ndarray) -> list[str]:
        return [self.labels[i] for i in row.nonzero()[0]]


def indicators(sets: list[list[str]], labels: tuple[str, ...]) -> np.ndarray:
    """bool [N, K] from N lists of label names."""
    import numpy as np

    index = {label: i for i, label in enumerate(labels)}
    found = np.zeros((len(sets), len(labels)), dtype=bool)
    for row, names in enumerate(sets):
        found[row, [index[name] for name in names]] = True
    return found
