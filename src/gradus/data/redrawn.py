"""The same data set with other rows in train and dev.select: a fold, a draw."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from gradus.data.dataset import Split, TrainingData


def redrawn(data: TrainingData, *, train: Split, select: Split | None = None) -> TrainingData:
    """`data` with these splits, ordered by content hash as all splits are.

    Its digest follows from the rows alone, so that the same draw has the same one in every
    process; dev.select stays where `select` is left out. Rows may stand there twice.
    """
    drawn = replace(
        data, train=_sorted(train), select=data.select if select is None else _sorted(select)
    )
    return replace(drawn, digest=rows_digest(drawn))


def rows_digest(data: TrainingData) -> str:
    """SHA-256 of the labels' names and of the rows of train and dev.select in their order."""
    found = hashlib.sha256(json.dumps([data.target, list(data.labels)]).encode())
    for split in (data.train, data.select):
        found.update(split_digest(split).encode())
    return found.hexdigest()


def _sorted(split: Split) -> Split:
    ids = list(split.ids)
    return split.take(sorted(range(len(ids)), key=ids.__getitem__))


def split_digest(split: Split) -> str:
    """SHA-256 of a split's ids, labels and words in their order."""
    found = hashlib.sha256()
    for item in split.ids:
        found.update(f"{item}\n".encode())
    if split.labels.dtype == object:
        for label in split.labels:
            found.update(f"{label!r}\n".encode())
    else:
        found.update(str(split.labels.dtype).encode())
        found.update(split.labels.tobytes())
    for words in split.words or ():
        found.update(f"{list(words)!r}\n".encode())
    return found.hexdigest()
