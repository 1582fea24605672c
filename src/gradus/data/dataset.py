"""Labelled texts and their splits, as handed to steps and to measuring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

SPLITS = ("train", "dev.select", "dev.gate", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """N labelled texts.

    Attributes:
        texts: N texts.
        labels: int64 [N], indices into the data set's labels.
        ids: N content hashes (hex), unique within the data set after exact duplicates are dropped.
    """

    texts: Sequence[str]
    labels: np.ndarray
    ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> Split:
        """The items at `rows`, in that order."""
        return Split(
            texts=[self.texts[i] for i in rows],
            labels=self.labels[list(rows)],
            ids=[self.ids[i] for i in rows],
        )

    def sample(self, n: int) -> Split:
        """The n items whose content hash is least, in hash order: the same for every checkpoint."""
        order = sorted(range(len(self)), key=lambda i: self.ids[i])
        return self.take(order[:n])


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a step may see of a data set: train and dev.select."""

    name: str
    labels: tuple[str, ...]
    train: Split
    select: Split
    digest: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set with its splits (keys of `SPLITS`; test may be absent).

    `digest` is the SHA-256 over ids, labels and split of every item; `split_digests` has one for
    each split (the ledger's key). `facts` are JSON: rows, label counts by split, duplicates
    dropped, files read, how the split was made, whether dev's halves are joined.
    """

    name: str
    labels: tuple[str, ...]
    splits: Mapping[str, Split]
    digest: str
    split_digests: Mapping[str, str]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def for_training(self) -> TrainingData:
        """The part that steps may see."""
        return TrainingData(
            name=self.name,
            labels=self.labels,
            train=self.splits["train"],
            select=self.splits["dev.select"],
            digest=self.digest,
        )
