"""What was computed once, on disk: arrays in parts, each part whole or absent, all with checksums.

A folder ``KEY`` holds ``part-00000.NAME.npy``, ... and, written last, ``outputs.json`` with what
they were computed from and the SHA-256 of each. A computation that is killed goes on behind the
last whole part. KEY is the hash of what they were computed from.

Legend: R rows, P parts, n rows asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from gradus.checkpoints.hashing import canonical_json, hash_file, hash_json
from gradus.errors import DataError
from gradus.training.exchange import current
from gradus.training.storage import storage_errors, write_whole

INDEX: Final = "outputs.json"
VERSION: Final = 1

Part = Mapping[str, np.ndarray]


class Kept:
    """Arrays of R rows by name, memory-mapped.

    Attributes:
        path: the folder.
        facts: what was said of them when they were written.
    """

    def __init__(self, path: Path) -> None:
        """Open a folder and check every file against its hash.

        Raises:
            DataError: it isn't whole, or a file was changed.
        """
        self.path = path
        index = read_index(path)
        self.facts: Mapping[str, Any] = index["facts"]
        for file, expected in index["files"].items():
            if not (path / file).is_file() or hash_file(path / file) != expected:
                raise DataError(
                    "isn't what was written: delete its folder, and what the teacher says is "
                    "computed again",
                    file=path / file,
                )
        self._ends = np.cumsum([0, *index["rows"]])
        self._parts = {
            name: [
                np.load(path / _file(number, name), mmap_mode="r", allow_pickle=False)
                for number in range(len(index["rows"]))
            ]
            for name in index["names"]
        }

    def __len__(self) -> int:
        return int(self._ends[-1])

    def width(self, name: str) -> int:
        """Columns of the array `name`, 1 for one without columns."""
        first = self._parts[name][0]
        return first.shape[1] if first.ndim > 1 else 1

    def take(self, name: str, rows: np.ndarray) -> np.ndarray:
        """[n, ...], the rows int64 [n] of the array `name`, in memory."""
        parts = self._parts[name]
        if len(parts) == 1:
            return np.asarray(parts[0][rows])
        found = np.empty((len(rows), *parts[0].shape[1:]), dtype=parts[0].dtype)
        owners = np.searchsorted(self._ends, rows, side="right") - 1
        for number in np.unique(owners):
            here = owners == number
            found[here] = parts[number][rows[here] - self._ends[number]]
        return found

    def all(self, name: str) -> np.ndarray:
        """[R, ...], the whole array `name`, in memory."""
        return np.concatenate(self._parts[name])


def kept(
    place: Path,
    identity: Mapping[str, Any],
    rows: Sequence[int],
    make: Callable[[int], Part],
    facts: Callable[[], Mapping[str, Any]] = dict,
) -> Kept:
    """Arrays that were computed from `identity`: opened, or computed and then opened.

    Args:
        place: the folder of all such folders.
        identity: JSON: all that the arrays depend on.
        rows: rows of each of the P parts.
        make: computes a part, by its number; arrays by name with as many rows.
        facts: JSON, asked for when all parts are there.

    Of several processes that train together the first computes, and the others open.

    Raises:
        DataError: a file was changed since.
        StorageError: the disk is full, or the place can't be written; what is whole is kept.
    """
    folder = place / hash_json([VERSION, identity])[:24]

    def compute() -> str:
        if not (folder / INDEX).is_file():
            _compute(folder, identity, rows, make, facts)
        return str(folder)

    current().first(compute)
    return Kept(folder)


def read_index(path: Path) -> dict[str, Any]:
    """What stands in the index of a folder.

    Raises:
        DataError: there is none that can be read.
    """
    try:
        index: dict[str, Any] = json.loads((path / INDEX).read_bytes())
        if index["version"] != VERSION:
            raise DataError(f"is of version {index['version']}: delete the folder", file=path)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"holds no whole outputs of a teacher ({error}): delete it", file=path
        ) from error
    return index


def _compute(
    folder: Path,
    identity: Mapping[str, Any],
    rows: Sequence[int],
    make: Callable[[int], Part],
    facts: Callable[[], Mapping[str, Any]],
) -> None:
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    names: tuple[str, ...] = ()
    for number, count in enumerate(rows):
        # A part's own marker is its list of names, written behind its arrays.
        marker = folder / f"part-{number:05d}.json"
        if marker.is_file():
            names = tuple(json.loads(marker.read_bytes()))
            continue
        arrays = make(number)
        names = tuple(sorted(arrays))
        for name in names:
            if len(arrays[name]) != count:
                raise ValueError(f"part {number} has {len(arrays[name])} rows, not {count}")
            _save(folder / _file(number, name), arrays[name])
        write_whole(marker, partial(_write_text, text=canonical_json(list(names))))
    files = [_file(number, name) for number in range(len(rows)) for name in names]
    index = {
        "version": VERSION,
        "identity": dict(identity),
        "rows": list(rows),
        "names": list(names),
        "files": {file: hash_file(folder / file) for file in files},
        "facts": dict(facts()),
    }
    write_whole(folder / INDEX, partial(_write_text, text=json.dumps(index, indent=1)))


def _file(number: int, name: str) -> str:
    return f"part-{number:05d}.{name}.npy"


def _save(path: Path, array: np.ndarray) -> None:
    def write(target: Path) -> None:
        # Through a stream: given a name, numpy would add its own ending to it.
        with target.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)

    write_whole(path, write)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
