"""From a plan's entry to a data set with its splits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from gradus.data.config import DataConfig
from gradus.data.dataset import SPLITS, Dataset, Split
from gradus.data.facts import describe
from gradus.data.given import by_split
from gradus.data.packed import Texts
from gradus.data.pool import Pool, read_pool
from gradus.data.splits import (
    GATE,
    SELECT,
    AssignmentFile,
    assign_stratified,
    digest_sorted,
    digest_split,
    splits_by_hash,
)
from gradus.data.targets import names_in, plain_label, to_array
from gradus.errors import DataError


@dataclass(frozen=True, slots=True)
class _Members:
    """The rows of one split, in the order of their ids, and the pool that holds them."""

    pool: Pool
    rows: np.ndarray

    def codes(self) -> np.ndarray:
        """int32 [M]: indices into the pool's distinct labels."""
        codes: np.ndarray = self.pool.labels.codes[self.rows]
        return codes

    def names(self) -> set[str]:
        """The label names that occur."""
        distinct = self.pool.labels.distinct
        return {name for code in set(self.codes().tolist()) for name in names_in(distinct[code])}


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
        pool.limit(config.sample if isinstance(config.sample, int) else config.limit)
    members = _divide(name, config, pools, seed, assignments)
    _check_sizes(name, config, members)
    labels = _label_set(name, config, members)
    if config.dev == "joined":
        halves = [members[half].rows for half in (SELECT, GATE) if half in members]
        part = next(members[half] for half in (SELECT, GATE) if half in members)
        rows = np.concatenate(halves)
        joined = _Members(part.pool, rows[np.argsort(_places(part.pool)[rows])])
        members = {**members, SELECT: joined, GATE: joined}
    built: dict[int, tuple[Split, str]] = {}
    for part in members.values():
        if id(part) not in built:
            built[id(part)] = _build(part, labels, config)
    splits = {split: built[id(members[split])][0] for split in SPLITS if split in members}
    digests = {split: built[id(members[split])][1] for split in splits}
    digest = digest_split(list(digests), list(digests.values()))
    facts = describe(config, pools, splits, labels, seed=seed, stored=assignments is not None)
    return Dataset(
        name=name,
        labels=labels,
        splits=splits,
        digest=digest,
        split_digests=digests,
        facts={**facts, "digest": digest, "split_digests": digests},
        target=config.target,
    )


def read_texts(name: str, config: DataConfig | Mapping[str, Any], *, folder: Path) -> Texts:
    """The distinct texts of a source, labels unread; with splits given, those of all of them.

    Raises:
        SourceError: a source isn't there.
        DataError: a file is broken.
    """
    if not isinstance(config, DataConfig):
        config = _validate(name, config)
    pools = {
        split or "train": read_pool(spec, config, folder, labelled=False)
        for split, spec in by_split(config.source).items()
    }
    _drop_crossing(pools)
    if len(pools) == 1:
        (pool,) = pools.values()
        pool.limit(config.sample if isinstance(config.sample, int) else config.limit)
        return Texts(pool.texts, pool.members)
    return Texts.of(text for pool in pools.values() for text in Texts(pool.texts, pool.members))


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
    for upper, lower in (("test", "dev"), ("test", "train"), ("dev", "train")):
        if upper in pools and lower in pools:
            pools[lower].drop(pools[upper])


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
    found: dict[str, _Members] = {}
    for given, shares in parts.items():
        pool = pools[given]
        if config.split.stratify:
            of = pool.label_of(config.target)
            assigned = _stratify(f"{name}.{given}", of, shares, seed, assignments)
            splits: Iterator[str] = (assigned[item] for item in of)
        else:
            splits = splits_by_hash(pool.contents(), shares, seed)
        codes = np.fromiter(map(SPLITS.index, splits), dtype=np.int8, count=len(pool.members))
        for code, split in enumerate(SPLITS):
            rows = pool.members[codes == code]
            if len(rows):
                found[split] = _Members(pool, rows)
    if "test" in pools:
        found["test"] = _Members(pools["test"], pools["test"].members)
    return found


def _stratify(
    name: str,
    labels: Mapping[str, str],
    shares: Mapping[str, float],
    seed: int,
    assignments: Path | None,
) -> dict[str, str]:
    file = AssignmentFile(assignments, name, shares, seed) if assignments is not None else None
    stored = file.read() if file else {}
    assigned = assign_stratified(labels, shares, seed, stored)
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
            rows = sum(len(part.rows) for part in members.values())
            raise DataError(
                f"{name}: no text falls into {split}, there are only {rows:,} in all: give more "
                "rows, a larger share, or 'split: {stratify: true}'"
                + (", or 'dev: joined'" if split in (SELECT, GATE) else "")
            )


def _label_set(name: str, config: DataConfig, members: Mapping[str, _Members]) -> tuple[str, ...]:
    """The labels, which are those of train unless the plan gives them."""
    labels = config.labels or tuple(sorted(members["train"].names()))
    _check_labels(config, members, set(labels))
    target = config.target
    if target == "number":
        if len(set(members["train"].codes().tolist())) < 2:
            raise DataError(f"{name}: every text of train has the same number: need two or more")
    elif target == "reply":
        return ()
    elif not labels:
        what = "spans" if target == "spans" else "labels"
        raise DataError(f"{name}: no text of train has any {what}: need some to learn from")
    elif target == "label" and len(labels) < 2:
        raise DataError(
            f"{name}: every text of train has the label '{labels[0]}': need two or more"
        )
    return labels


def _check_labels(config: DataConfig, members: Mapping[str, _Members], known: set[str]) -> None:
    """Raise DataError for the first label of any split that isn't known."""
    for split, part in members.items():
        distinct = part.pool.labels.distinct
        strange = {
            code: name
            for code in set(part.codes().tolist())
            for name in names_in(distinct[code])
            if name not in known
        }
        if strange:
            codes = part.codes()
            row = part.rows[np.isin(codes, list(strange))].min()
            label = strange[int(part.pool.labels.codes[row])]
            raise part.pool.error(int(row), _unknown_label(label, split, config))


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


def _places(pool: Pool) -> np.ndarray:
    """int64 [N]: where each of the pool's rows stands in the order of ids."""
    places = np.full(len(pool.texts), -1, dtype=np.int64)
    places[pool.members] = np.arange(len(pool.members))
    return places


def _build(part: _Members, labels: tuple[str, ...], config: DataConfig) -> tuple[Split, str]:
    """A split and its digest."""
    distinct, codes = part.pool.labels.distinct, part.codes()
    split = Split(
        labels=to_array(distinct, labels, config.target)[codes], **part.pool.parts(part.rows)
    )
    names = [json.dumps(plain_label(label)) for label in distinct]
    written: Iterator[str] = (names[code] for code in codes.tolist())
    if split.words is not None:
        written = (
            f"{label}\t{json.dumps(words)}"
            for label, words in zip(written, split.words, strict=True)
        )
    return split, digest_sorted(zip(split.ids, written, strict=True))
