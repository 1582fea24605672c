"""From a plan's entry to a data set with its splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from gradus.data.config import DataConfig, by_split
from gradus.data.dataset import SPLITS, Dataset, Split
from gradus.data.facts import describe
from gradus.data.pool import Pool, read_pool
from gradus.data.splits import (
    GATE,
    SELECT,
    AssignmentFile,
    assign_by_hash,
    assign_stratified,
    digest_split,
)
from gradus.errors import DataError


@dataclass(frozen=True, slots=True)
class _Members:
    """The ids of one split, sorted, and the pool that holds their texts."""

    pool: Pool
    ids: list[str]

    def labels(self) -> list[str]:
        return [self.pool.labels[self.pool.index[item]] for item in self.ids]


def load_dataset(
    name: str,
    config: DataConfig | Mapping[str, Any],
    *,
    folder: Path,
    seed: int,
    assignments: Path | None = None,
) -> Dataset:
    """Read a data set and split it; the same content gives the same data set, whatever its order.

    Every split is sorted by content hash. Relative paths are relative to `folder`; `assignments`
    is the folder where stratified splits are stored (None stores nothing, and later rows can then
    move earlier ones).

    Raises:
        SourceError: a source isn't there.
        DataError: a file is broken, a label is unknown in train, a split has no rows.
        StorageError: the assignment can't be stored.
    """
    if not isinstance(config, DataConfig):
        config = _validate(name, config)
    pools = {
        split or "train": read_pool(spec, config, folder)
        for split, spec in by_split(config.source).items()
    }
    _drop_crossing(pools)
    for pool in pools.values():
        pool.limit(config.limit)
    members = _divide(name, config, pools, seed, assignments)
    _check_sizes(name, config, members)
    labels = _label_set(name, config, members)
    splits = _build(members, labels, joined=config.dev == "joined")
    digests = {
        split: digest_split(part.ids, [labels[i] for i in part.labels])
        for split, part in splits.items()
    }
    digest = digest_split(list(digests), list(digests.values()))
    facts = describe(config, pools, splits, labels, seed=seed, stored=assignments is not None)
    return Dataset(
        name=name,
        labels=labels,
        splits=splits,
        digest=digest,
        split_digests=digests,
        facts={**facts, "digest": digest, "split_digests": digests},
    )


def _validate(name: str, raw: Mapping[str, Any]) -> DataConfig:
    try:
        return DataConfig.model_validate(raw)
    except ValidationError as error:
        faults = (
            f"{'.'.join(map(str, fault['loc'])) or 'data'}: "
            + fault["msg"].removeprefix("Value error, ")
            for fault in error.errors()
        )
        raise DataError(f"{name}: {'; '.join(faults)}") from error


def _drop_crossing(pools: Mapping[str, Pool]) -> None:
    """A text given in test leaves dev and train; one given in dev leaves train."""
    taken: set[str] = set()
    for split in ("test", "dev", "train"):
        if split in pools:
            pools[split].drop(taken)
            taken |= pools[split].index.keys()


def _divide(
    name: str,
    config: DataConfig,
    pools: Mapping[str, Pool],
    seed: int,
    assignments: Path | None,
) -> dict[str, _Members]:
    """The members of each of the four splits."""
    parts = {"train": config.shares()}
    if "dev" in pools:
        # Halving is splitting with nothing left for train.
        parts["dev"] = {"train": 0.0, "dev": 1.0}
    by_name: dict[str, _Members] = {}
    for given, shares in parts.items():
        pool = pools[given]
        if config.split.stratify:
            assigned = _stratify(f"{name}.{given}", pool, shares, seed, assignments)
        else:
            assigned = assign_by_hash(pool.index, shares, seed)
        for item in sorted(assigned):
            by_name.setdefault(assigned[item], _Members(pool, [])).ids.append(item)
    if "test" in pools:
        by_name["test"] = _Members(pools["test"], sorted(pools["test"].index))
    return by_name


def _stratify(
    name: str, pool: Pool, shares: Mapping[str, float], seed: int, assignments: Path | None
) -> dict[str, str]:
    file = AssignmentFile(assignments, name, shares, seed) if assignments is not None else None
    stored = file.read() if file else {}
    assigned = assign_stratified(pool.label_of(), shares, seed, stored)
    # Rows that are gone keep their place, in case they come back.
    if file and not assigned.keys() <= stored.keys():
        file.write({**stored, **assigned})
    return assigned


def _check_sizes(name: str, config: DataConfig, members: Mapping[str, _Members]) -> None:
    needed = ["train", SELECT, GATE]
    if config.dev == "joined":
        needed = ["train"]
        if SELECT not in members and GATE not in members:
            needed.append("dev")
    if config.shares().get("test", 0.0) > 0:
        needed.append("test")
    for split in needed:
        if split not in members:
            rows = sum(len(part.ids) for part in members.values())
            raise DataError(
                f"{name}: no text falls into {split}, there are only {rows:,} in all: give more "
                "rows, a larger share, or 'split: {stratify: true}'"
                + (", or 'dev: joined'" if split in (SELECT, GATE) else "")
            )


def _label_set(name: str, config: DataConfig, members: Mapping[str, _Members]) -> tuple[str, ...]:
    """The labels, which are those of train unless the plan gives them."""
    labels = config.labels or tuple(sorted(set(members["train"].labels())))
    known = set(labels)
    for split, part in members.items():
        for item, label in zip(part.ids, part.labels(), strict=True):
            if label not in known:
                row = part.pool.index[item]
                raise DataError(
                    _unknown_label(label, split, config),
                    file=part.pool.files[row],
                    line=part.pool.lines[row],
                )
    if len(labels) < 2:
        raise DataError(
            f"{name}: every text of train has the label '{labels[0]}': need two or more"
        )
    return labels


def _unknown_label(label: str, split: str, config: DataConfig) -> str:
    if config.labels is not None:
        return f"the label '{label}' is not among the plan's 'labels': add it or correct the row"
    if split in by_split(config.source) or split.partition(".")[0] in by_split(config.source):
        return f"the label '{label}' stands in {split} but not in train: correct it or add rows"
    advice = "a higher 'limit' or " if config.limit else ""
    return (
        f"the label '{label}' has so few rows that {split} has one and train has none: use "
        f"{advice}'split: {{stratify: true}}', or drop the label"
    )


def _build(
    members: Mapping[str, _Members], labels: tuple[str, ...], *, joined: bool
) -> dict[str, Split]:
    """The splits in the order of `SPLITS`; joined halves of dev are one object."""
    number = {label: i for i, label in enumerate(labels)}
    parts = dict(members)
    if joined:
        halves = [parts[half] for half in (SELECT, GATE) if half in parts]
        dev = _Members(halves[0].pool, sorted(item for half in halves for item in half.ids))
        parts[SELECT] = parts[GATE] = dev
    built: dict[int, Split] = {}
    splits = {}
    for split in SPLITS:
        if split not in parts:
            continue
        part = parts[split]
        if id(part) not in built:
            built[id(part)] = Split(
                texts=[part.pool.texts[part.pool.index[item]] for item in part.ids],
                labels=np.array([number[label] for label in part.labels()], dtype=np.int64),
                ids=part.ids,
            )
        splits[split] = built[id(part)]
    return splits
