"""Labelled texts and their splits, as handed to steps and to measuring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradus.errors import DataError
from gradus.records import Target

if TYPE_CHECKING:
    import numpy as np

SPLITS = ("train", "dev.select", "dev.gate", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """N labelled texts. K is the number of the data set's labels.

    Attributes:
        texts: N texts, a view that makes each when asked; a pair of texts is a `Pair`.
        labels: what each text is labelled with, in the form that the data set's target says:
            ``label`` int64 [N], indices into the labels; ``labels`` bool [N, K]; ``number``
            float64 [N]; ``spans`` object [N], each a tuple of `Span`, in order of their start.
        ids: N content hashes (hex), unique within the data set after exact duplicates are dropped.
        words: for spans, the words of each text as (start, end) in characters; else None.
        columns: further columns by name, N values each, to look at slices by.
    """

    texts: Sequence[str]
    labels: np.ndarray
    ids: Sequence[str]
    words: Sequence[Sequence[tuple[int, int]]] | None = None
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> Split:
        """The items at `rows`, in that order."""
        from gradus.data.packed import take

        return Split(
            texts=take(self.texts, rows),
            labels=self.labels[list(rows)],
            ids=take(self.ids, rows),
            words=None if self.words is None else take(self.words, rows),
            columns={name: take(of, rows) for name, of in self.columns.items()},
        )

    def sample(self, n: int) -> Split:
        """The n items whose content hash is least, in hash order: the same for every checkpoint."""
        ids = list(self.ids)
        return self.take(sorted(range(len(self)), key=ids.__getitem__)[:n])


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a step may see of a data set: train and dev.select.

    `held` has the ids of dev.gate and test by split, so that a step can tell that a text stands
    there, and no more than that.
    """

    name: str
    labels: tuple[str, ...]
    train: Split
    select: Split
    digest: str
    target: Target = "label"
    held: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def require(self, target: Target, who: str) -> None:
        """Raise DataError unless the data set has this target; `who` asks for it."""
        if self.target != target:
            raise DataError(
                f"{self.name}: {who} needs data with 'target: {target}', this has "
                f"'target: {self.target}'"
            )


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
    target: Target = "label"

    def for_training(self) -> TrainingData:
        """The part that steps may see."""
        return TrainingData(
            name=self.name,
            labels=self.labels,
            train=self.splits["train"],
            select=self.splits["dev.select"],
            digest=self.digest,
            target=self.target,
            held={n: self.splits[n].ids for n in ("dev.gate", "test") if n in self.splits},
        )
