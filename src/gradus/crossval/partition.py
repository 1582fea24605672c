"""From train to folds: what each is trained on, looks at and is tested on.

Legend: N items of train, k folds, r repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradus.data.folds import Scheme, alike, assign, cut, joined
from gradus.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from gradus.data.dataset import Split, TrainingData


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold of one repeat; rows are of train, rising.

    Attributes:
        repeat: from 0.
        number: from 0.
        train: int64, the rows that models are trained on.
        select: int64, those that early stopping, thresholds and tuning look at.
        held: int64, those that are predicted.
    """

    repeat: int
    number: int
    train: np.ndarray
    select: np.ndarray
    held: np.ndarray

    @property
    def name(self) -> str:
        """As in facts and folders, from 1: ``r1f3``."""
        return f"r{self.repeat + 1}f{self.number + 1}"


def partition(
    data: TrainingData,
    *,
    folds: int,
    repeats: int,
    scheme: Scheme,
    select: float,
    seed: int,
    groups: Sequence[str] | None,
) -> list[Fold]:
    """All folds of all repeats.

    Args:
        data: the data set, of which train alone is folded.
        folds: k.
        repeats: r.
        scheme: see `gradus.data.folds`.
        select: share of a fold's training part that is cut off for dev.select.
        seed: of folds and cuts.
        groups: N names of `groups_of`; items of one name stay together.

    Raises:
        DataError: quotas are asked of a target without labels, or there are too few items or
            groups.
    """
    import numpy as np

    train = data.train
    labels = _labels(data) if scheme == "stratified" else None
    found = []
    for repeat in range(repeats):
        fold_of = assign(
            train.ids, folds, seed=seed, repeat=repeat, scheme=scheme, labels=labels, groups=groups
        )
        for number in range(folds):
            rest: list[int] = np.flatnonzero(fold_of != number).tolist()
            chosen = cut(
                [train.ids[row] for row in rest],
                select,
                seed=seed,
                purpose=f"select {repeat} {number}",
                labels=None if labels is None else [labels[row] for row in rest],
                groups=None if groups is None else [groups[row] for row in rest],
            )
            fold = Fold(
                repeat=repeat,
                number=number,
                train=np.array(rest)[~chosen],
                select=np.array(rest)[chosen],
                held=np.flatnonzero(fold_of == number),
            )
            _check(fold, data.name)
            found.append(fold)
    return found


def groups_of(
    train: Split, name: str, group: str | None, *, near_duplicates: bool
) -> list[str] | None:
    """N names of groups; None where each item stands alone.

    Args:
        train: N items.
        name: the data set's.
        group: a field that the data keep; items with one value stay together, and so do copies of a
            text, whatever their groups. An item without a value belongs to no group.
        near_duplicates: whether texts that are nearly the same stay together.

    Raises:
        DataError: the data don't keep the field.
    """
    groups: list[str] | None = None
    if group is not None:
        if group not in train.columns:
            kept = ", ".join(train.columns) or "none"
            raise DataError(
                f"{name}: folds are grouped by '{group}', which the data don't keep (kept: "
                f"{kept}): write 'columns: {{keep: [{group}]}}'"
            )
        groups = joined(train.ids, [_group(value) for value in train.columns[group]])
    return alike(list(train.texts), list(train.ids), groups) if near_duplicates else groups


def _group(value: object) -> str:
    """The name of a group; empty where there is none."""
    name = "" if value is None else str(value)
    return name if name.strip() else ""


def _labels(data: TrainingData) -> list[int]:
    if data.target != "label":
        raise DataError(
            f"{data.name}: 'scheme: stratified' needs data with 'target: label', this has "
            f"'target: {data.target}': use 'scheme: hash'"
        )
    found: list[int] = data.train.labels.tolist()
    return found


def _check(fold: Fold, name: str) -> None:
    parts: Sequence[tuple[str, np.ndarray, str]] = (
        ("train on", fold.train, "ask for fewer folds or a smaller 'select'"),
        ("stop early by", fold.select, "ask for a greater 'select'"),
    )
    for what, rows, remedy in parts:
        if not len(rows):
            raise DataError(f"{name}: fold {fold.name} has nothing to {what}: {remedy}")
