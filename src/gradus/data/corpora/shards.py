"""Token ids of documents, memory-mapped, with an index and a checksum for each shard.

A folder with ``shard-00000.bin``, ... (raw little-endian uint16, or uint32 where the vocabulary
has more than 65,536 entries), ``lengths.bin`` (int64, one a document) and ``index.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from gradus.checkpoints.hashing import hash_file, hash_json
from gradus.data.corpora.documents import map_array
from gradus.errors import DataError

INDEX: Final = "index.json"
LENGTHS: Final = "lengths.bin"
VERSION: Final = 1


class Shards:
    """The token ids of D documents, T in all, one document after the other.

    Where `end` is given, every document ends with that id, and `lengths` counts it; so document d
    begins with its own first token at ``lengths[:d].sum()``.

    Attributes:
        path: the folder.
        total: T.
        lengths: int64 [D], tokens of each document.
        end: the id that ends a document; None where none was asked for.
        vocabulary: number of the tokenizer's entries.
        path_digest: SHA-256 over shards, lengths, end and tokenizer: equal for equal content.
        facts: JSON: documents, bytes, tokens, the tokenizer's digest.

    Raises:
        DataError: the folder holds no shards, or one is missing or damaged; names it.
    """

    def __init__(self, path: Path, *, verify: bool = True) -> None:
        self.path = Path(path)
        index = _read_index(self.path)
        entries: list[dict[str, Any]] = index["shards"]
        if verify:
            for entry in [*entries, {"file": LENGTHS, "sha256": index["lengths_sha256"]}]:
                _verify(self.path / entry["file"], entry["sha256"])
        self._parts = [map_array(self.path / entry["file"], index["dtype"]) for entry in entries]
        for part, entry in zip(self._parts, entries, strict=True):
            if len(part) != entry["tokens"]:
                raise _damaged(self.path / entry["file"], f"holds {len(part):,} tokens")
        self._ends = np.cumsum([0, *(len(part) for part in self._parts)])
        self.lengths = map_array(self.path / LENGTHS, "<i8")
        self.total = int(self._ends[-1])
        self.end: int | None = index["end"]
        self.vocabulary = int(index["vocabulary"])
        self.dtype = np.dtype(index["dtype"])
        self.path_digest = hash_json(
            [
                [entry["sha256"] for entry in entries],
                index["lengths_sha256"],
                index["end"],
                index["tokenizer"],
            ]
        )
        self.facts: dict[str, Any] = {
            "documents": len(self.lengths),
            "bytes": index["bytes"],
            "tokens": self.total,
            "tokenizer": index["tokenizer"],
            "shards": len(entries),
            "digest": self.path_digest,
        }

    def ids(self, start: int, stop: int) -> np.ndarray:
        """The ids [stop - start] of a stretch of all tokens; within one shard a view, not a copy.

        Raises:
            IndexError: the stretch leaves [0, T].
        """
        if not 0 <= start <= stop <= self.total:
            raise IndexError(f"[{start}, {stop}) isn't within the {self.total} tokens")
        if start == stop:
            return np.zeros(0, self.dtype)
        first = int(np.searchsorted(self._ends, start, side="right")) - 1
        last = int(np.searchsorted(self._ends, stop, side="left")) - 1
        found = [
            self._parts[number][
                max(start - int(self._ends[number]), 0) : stop - int(self._ends[number])
            ]
            for number in range(first, last + 1)
        ]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def starts(self) -> np.ndarray:
        """int64 [D]: where each document begins."""
        starts: np.ndarray = np.cumsum(self.lengths) - self.lengths
        return starts

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.path,)


def _reopen(path: Path) -> Shards:
    """In another process; the first to open them has verified them."""
    return Shards(path, verify=False)


def _read_index(path: Path) -> dict[str, Any]:
    try:
        index: dict[str, Any] = json.loads((path / INDEX).read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"holds no shards ({error})", file=path) from error
    if index.get("version") != VERSION:
        raise DataError(
            f"is of version {index.get('version')}, this Gradus reads {VERSION}: delete the folder",
            file=path / INDEX,
        )
    return index


def _verify(file: Path, expected: str) -> None:
    try:
        found = hash_file(file)
    except OSError as error:
        raise _damaged(file, f"can't be read ({error.strerror})") from error
    if found != expected:
        raise _damaged(file, f"has the SHA-256 {found[:12]}…, {expected[:12]}… was written")


def _damaged(file: Path, why: str) -> DataError:
    return DataError(
        f"the shard is damaged, it {why}: delete its folder, and the text is tokenised anew",
        file=file,
    )
