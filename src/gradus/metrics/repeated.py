"""What the checkpoints of several seeds of one step predicted on the same items.

Legend: N items, S seeds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradus.metrics.base import Items, Metric
from gradus.metrics.writings import Writings

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Repeated:
    """S checkpoints on the same N items, in the same order.

    Attributes:
        runs: the items of each seed; all have the same ids, labels and truth.
        chosen: which of them is the checkpoint that later steps take.
    """

    runs: tuple[Items, ...]
    chosen: int = 0

    @property
    def one(self) -> Items:
        """The items of the checkpoint that later steps take."""
        return self.runs[self.chosen]

    @property
    def target(self) -> str:
        """As `Items.target`."""
        return self.one.target

    @property
    def labels(self) -> tuple[str, ...]:
        """As `Items.labels`."""
        return self.one.labels

    @property
    def ids(self) -> tuple[str, ...]:
        """As `Items.ids`."""
        return self.one.ids

    def __len__(self) -> int:
        return len(self.one)


Seen = Items | Repeated
"""What one checkpoint predicted, or those of several seeds."""


def runs_of(seen: Seen) -> tuple[Items, ...]:
    """The items of each seed; of one checkpoint, its own alone."""
    return seen.runs if isinstance(seen, Repeated) else (seen,)


def one_of(seen: Seen) -> Items:
    """The items of the checkpoint that later steps take."""
    return seen.one if isinstance(seen, Repeated) else seen


def like(seen: Seen, runs: Sequence[Items]) -> Seen:
    """Other items for the same seeds."""
    return Repeated(tuple(runs), seen.chosen) if isinstance(seen, Repeated) else runs[0]


def viewed(seen: Seen, metric: Metric) -> Seen:
    """Every seed's items as the metric sees them, see `Metric.viewed`."""
    return like(seen, [metric.viewed(run) for run in runs_of(seen)])


def kept(seen: Seen, rows: np.ndarray) -> Seen:
    """The items at `rows` (int [M], each once) with their ids."""
    ids = tuple(seen.ids[i] for i in rows.tolist())
    # Every class of items is a dataclass with the field `ids`.
    runs = [dataclasses.replace(run.take(rows), ids=ids) for run in runs_of(seen)]  # type: ignore[type-var]  # as said above
    return like(seen, runs)


def of_both(own: Seen, other: Seen) -> tuple[Seen, Seen]:
    """The items that both sides hold, in the order of `own`.

    Items are paired by id. Texts to a prompt are paired by the prompt: one side may have more of
    them than the other.
    """
    import numpy as np

    mine, theirs = _units(own), _units(other)
    shared = [unit for unit in mine if unit in theirs]
    return (
        kept(own, np.array([row for unit in shared for row in mine[unit]], dtype=np.int64)),
        kept(other, np.array([row for unit in shared for row in theirs[unit]], dtype=np.int64)),
    )


def _units(seen: Seen) -> dict[str, list[int]]:
    """Rows by what pairs them with those of another side."""
    found: dict[str, list[int]] = {}
    items = one_of(seen)
    for row, mark in enumerate(items.prompt_ids() if isinstance(items, Writings) else items.ids):
        found.setdefault(mark, []).append(row)
    return found


def value(metric: Metric, seen: Seen) -> float:
    """The metric's mean over the seeds; NaN where it is undefined for one of them."""
    values = [metric(run) for run in runs_of(seen)]
    return sum(values) / len(values)
