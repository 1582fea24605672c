"""The texts of one source, before they are split."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gradus import registry
from gradus.data.config import DataConfig, options_of
from gradus.data.formats.base import Format, Row, Tally
from gradus.data.formats.files import COMPRESSED, plain_suffix
from gradus.data.packed import Ids, Interned, Ranges, RangeStore, Rows, Texts, TextStore
from gradus.data.rows import read_rows
from gradus.data.targets import plain_label
from gradus.errors import DataError
from gradus.records import Target
from gradus.sources import Located, locate_data
from gradus.sources.base import hidden


class Pool:
    """The texts of one source and what reading them showed.

    While it is read, everything is in file order (N rows). After `settle` its `members` are those
    rows that count, in the order of their ids; `drop`, `sample` and `limit` leave some of them out.

    Attributes:
        located: where the source is.
        format: plain name of the format.
        rows: rows that the filter left.
        duplicates: of these, the ones whose text came before.
        conflicts: of the duplicates, those whose label differs from that of their first.
        distinct: distinct texts, before any is left out.
        unsampled: texts that the sample left out.
        elsewhere: texts left out because they stand in another given split.
        members: int64 [M], rows in the order of their ids.
        digests: uint8 [N, 32], content hashes by row.
        copies: int32 [N], 0 for the first text of its content, 1 for the first copy, ...
    """

    def __init__(self, located: Located, format: str) -> None:
        self.located, self.format = located, format
        self.texts = TextStore()
        self.labels: Interned[Any] = Interned()
        self.files: Interned[Path] = Interned()
        self.groups: Interned[str] = Interned()
        self.lines = array("q")
        self.words = RangeStore()
        self.columns: dict[str, TextStore] = {}
        self.tally = Tally()
        self.rows = self.duplicates = self.conflicts = self.distinct = 0
        self.unsampled = self.elsewhere = 0
        self.members = np.zeros(0, dtype=np.int64)
        self.digests = np.zeros((0, 32), dtype=np.uint8)
        self.copies = np.zeros(0, dtype=np.int32)
        self._hashes = bytearray()

    def add(self, row: Row) -> None:
        """Take a row in."""
        content = row.text.encode()
        self._hashes += hashlib.sha256(content).digest()
        self.texts.add(row.text, content)
        self.labels.add(row.label)
        self.files.add(row.file)
        self.lines.append(row.line)
        if row.words is not None:
            self.words.add(row.words)
        if row.group is not None:
            self.groups.add(row.group)
        for name, value in row.columns.items():
            self.columns.setdefault(name, TextStore()).add(value, value.encode())

    def settle(self, *, keep_copies: bool) -> None:
        """Find copies once every row is in; of equal texts the first is kept, or all are."""
        self.digests = np.frombuffer(bytes(self._hashes), dtype=np.uint8).reshape(-1, 32)
        self._hashes = bytearray()
        self.rows = len(self.digests)
        codes = self.labels.codes
        # Copies are numbered in the order of their labels, so that the order of rows has no part.
        order, first = _sorted_groups(self.digests)
        group = np.cumsum(first) - 1
        self.distinct = int(first.sum())
        self.duplicates = self.rows - self.distinct
        self.conflicts = int((codes[order] != codes[order[first]][group]).sum())
        self.copies = np.zeros(self.rows, dtype=np.int32)
        if not keep_copies:
            self.members = order[first]
            return
        names = [json.dumps(plain_label(label)) for label in self.labels.distinct]
        rank = np.empty(len(names), dtype=np.int64)
        rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
        order, first = _sorted_groups(self.digests, rank[codes])
        starts = np.flatnonzero(first)
        self.copies[order] = np.arange(self.rows) - starts[group]
        self.members = order

    def contents(self) -> Iterator[bytes]:
        """What decides each member's split: its content hash, or its group's."""
        if not len(self.groups):
            yield from (self.digests[row].tobytes() for row in self.members)
            return
        hashes = [hashlib.sha256(name.encode()).digest() for name in self.groups.distinct]
        yield from (hashes[code] for code in self.groups.codes[self.members].tolist())

    def drop(self, others: Pool) -> None:
        """Leave out texts, or groups, that stand in another split; counted in `elsewhere`."""
        crossing = _isin(self.digests[self.members], others.digests[others.members])
        if len(self.groups):
            taken = {others.groups[int(row)] for row in others.members}
            codes = [i for i, name in enumerate(self.groups.distinct) if name in taken]
            crossing |= np.isin(self.groups.codes[self.members], codes)
        self.elsewhere += int(crossing.sum())
        self.members = self.members[~crossing]

    def sample(self, share: float) -> None:
        """Keep the texts whose hash lies in the lowest `share` of all hashes."""
        places = _words(self.digests[self.members])[:, 0] / 2.0**64
        left = self.members[places < share]
        self.unsampled = len(self.members) - len(left)
        self.members = left

    def limit(self, most: int | None) -> None:
        """Keep at most the `most` texts whose ids are least."""
        if most is not None:
            self.members = self.members[:most]

    def ids(self, rows: Rows) -> Ids:
        """The ids of rows."""
        return Ids(self.digests, self.copies, rows)

    def label_of(self, target: Target) -> dict[str, str]:
        """Id -> label name of the members; several labels make one name."""
        names = [
            name if target == "label" else json.dumps(plain_label(name))
            for name in self.labels.distinct
        ]
        codes = self.labels.codes[self.members].tolist()
        return {item: names[code] for item, code in zip(self.ids(self.members), codes, strict=True)}

    def error(self, row: int, message: str) -> DataError:
        """The error for a row."""
        return DataError(message, file=self.files[row], line=self.lines[row])

    def parts(self, rows: np.ndarray) -> dict[str, Any]:
        """Texts, ids, words and columns of rows, as a `Split` has them."""
        return {
            "texts": Texts(self.texts, rows),
            "ids": self.ids(rows),
            "words": Ranges(self.words, rows) if len(self.words) else None,
            "columns": {name: Texts(store, rows) for name, store in self.columns.items()},
        }


def _words(digests: np.ndarray) -> np.ndarray:
    """uint8 [N, 32] -> uint64 [N, 4], which order as the bytes do."""
    return np.ascontiguousarray(digests).view(">u8").astype(np.uint64)


def _sorted_groups(
    digests: np.ndarray, then: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows sorted by digest, equal ones by `then` and row; and where a new digest begins."""
    words = _words(digests)
    keys = [words[:, 3], words[:, 2], words[:, 1], words[:, 0]]
    order = np.lexsort(keys if then is None else [then, *keys])
    ordered = words[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return order, first


def _isin(digests: np.ndarray, others: np.ndarray) -> np.ndarray:
    """bool [N]: which digests stand among the others."""
    found = np.isin(_words(digests)[:, 0], _words(others)[:, 0])
    known = {others[row].tobytes() for row in range(len(others))} if found.any() else set()
    for row in np.flatnonzero(found):
        found[row] = digests[row].tobytes() in known
    return found


def read_pool(
    spec: Mapping[str, Any], config: DataConfig, folder: Path, *, labelled: bool = True
) -> Pool:
    """Read one source whole; without `labelled` labels aren't read.

    Raises:
        SourceError: there is nothing where the source points.
        DataError: the first thing that is broken, with file, line and field.
    """
    located = locate_data(spec, folder)
    name = find_format(located) if config.format == "auto" else config.format
    kind: type[Format] = registry.load("formats", name)
    try:
        options = options_of(kind, {**config.options, **located.options}, config.target)
    except ValueError as error:
        raise DataError(str(error), file=located.path) from error
    pool = Pool(located, registry.plain(name))
    rows = read_rows(
        kind(options),
        files_of(located, kind),
        target=config.target if labelled else None,
        columns=config.columns,
        filter=config.filter,
        encodings=config.encodings(),
        tally=pool.tally,
        prompt=config.prompt,
    )
    for row in rows:
        pool.add(row)
    if not len(pool.texts):
        left = f", the filter leaves none of {pool.tally.rows:,}" if pool.tally.rows else ""
        raise DataError(f"holds no rows{left}", file=located.path)
    pool.settle(keep_copies=config.duplicates == "keep")
    if isinstance(config.sample, float):
        pool.sample(config.sample)
    return pool


def files_of(located: Located, kind: type[Format]) -> list[Path]:
    """The files that a format reads, in name order: those of its suffixes in a folder."""
    if located.files:
        return list(located.files)
    if kind.folder or not located.path.is_dir():
        return [located.path]
    found = sorted(
        file
        for file in located.path.rglob("*")
        if file.is_file()
        and not any(hidden(part) for part in file.relative_to(located.path).parts)
        and plain_suffix(file) in kind.suffixes
    )
    if not found:
        raise DataError(
            f"holds no file that ends in {' or '.join(kind.suffixes)}, as the format {kind.name} "
            "needs",
            file=located.path,
        )
    return found


def find_format(located: Located) -> str:
    """The format that ``auto`` stands for: by the files' suffix.

    A folder is `folders`, unless the datasets library wrote it or it is a hub's repository.

    Raises:
        DataError: no format has that suffix, or the files have several.
    """
    path = located.files[0] if located.files else located.path
    if path.is_dir():
        saved = any((path / name).is_file() for name in ("dataset_dict.json", "state.json"))
        return "datasets" if saved or "hub" in located.origin else "folders"
    suffix = plain_suffix(path)
    other = next((file for file in located.files if plain_suffix(file) != suffix), None)
    if other is not None:
        raise DataError(
            f"ends in another way than {path.name}: write 'format: …', or drop it", file=other
        )
    known: list[str] = []
    for name in registry.names("formats"):
        found: type[Format] = registry.load("formats", name)
        if suffix in found.suffixes:
            return found.name
        known += found.suffixes
    raise DataError(
        f"the suffix '{suffix}' says no format: write 'format: …' (known suffixes: "
        f"{', '.join(known)}; any of them may be compressed, {', '.join(COMPRESSED)})",
        file=path,
    )
