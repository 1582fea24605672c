"""The documents of one split, read from disk when asked for.

A split is a folder of raw little-endian files, written once, front to back:

    text.bin    the documents' UTF-8, one after the other
    ends.bin    int64 [N], where each document ends
    ids.bin     uint8 [N, 32], SHA-256 of each document's UTF-8, rising
    codes.bin   int32 [N, 2], domain and language as indices into the names; -1 for none
    index.json  counts and names

Legend: N documents.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, overload

import numpy as np

from gradus.errors import DataError

INDEX: Final = "index.json"
_CHUNK: Final = 1 << 20
_LARGEST_READ: Final = 1 << 30
_CODES: Final = struct.Struct("<ii")


class Document(NamedTuple):
    """One document.

    Attributes:
        id: SHA-256 (hex) of the text's UTF-8.
        text: the text, cleaned.
        domain: what the corpus's `columns.domain` says; None where it names no field.
        language: its code, e.g. ``en``; ``und`` where it can't be told.
    """

    id: str
    text: str
    domain: str | None
    language: str | None


class Documents(Sequence[Document]):
    """N documents of one split in the order of their ids, read from disk when asked for.

    Ids are hashes, so that the first n documents are a random sample, the same every time.

    Attributes:
        path: the split's folder.
        domains: names of the domains that occur in the corpus.
        languages: codes of the languages that occur in it.
        ends: int64 [N], where each document ends in the text, in bytes.
        ids: uint8 [N, 32].
        codes: int32 [N, 2], domain and language of each; -1 for none.

    Raises:
        DataError: the folder holds no documents.
    """

    def __init__(self, path: Path, rows: tuple[int, int] | None = None) -> None:
        self.path = Path(path)
        try:
            index = json.loads((self.path / INDEX).read_bytes())
        except (OSError, ValueError) as error:
            raise DataError(f"can't be read as documents ({error})", file=self.path) from error
        count = int(index["documents"])
        self._rows = (0, count) if rows is None else rows
        self.domains: tuple[str, ...] = tuple(index["domains"])
        self.languages: tuple[str, ...] = tuple(index["languages"])
        first, last = self._rows
        ends = map_array(self.path / "ends.bin", "<i8")
        self._start = int(ends[first - 1]) if first else 0
        self.ends = ends[first:last]
        self.ids = map_array(self.path / "ids.bin", "u1").reshape(-1, 32)[first:last]
        self.codes = map_array(self.path / "codes.bin", "<i4").reshape(-1, 2)[first:last]
        try:
            self._text = os.open(self.path / "text.bin", os.O_RDONLY)
        except OSError as error:
            raise DataError(
                f"can't be read ({error.strerror})", file=self.path / "text.bin"
            ) from error
        weakref.finalize(self, os.close, self._text)

    @property
    def bytes(self) -> int:
        """UTF-8 bytes of all texts."""
        return int(self.ends[-1]) - self._start if len(self) else 0

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the ids."""
        state = hashlib.sha256()
        for start in range(0, len(self), _CHUNK):
            state.update(self.ids[start : start + _CHUNK].tobytes())
        return state.hexdigest()

    def lengths(self) -> np.ndarray:
        """int64 [N]: bytes of each document."""
        return np.diff(self.ends, prepend=self._start)

    def __len__(self) -> int:
        return self._rows[1] - self._rows[0]

    @overload
    def __getitem__(self, index: int) -> Document: ...
    @overload
    def __getitem__(self, index: slice) -> Documents: ...
    def __getitem__(self, index: int | slice) -> Document | Documents:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise ValueError("documents are cut without a step")
            first = self._rows[0]
            return Documents(self.path, (first + start, first + max(start, stop)))
        row = range(len(self))[index]
        domain, language = self.codes[row].tolist()
        return Document(
            id=self.ids[row].tobytes().hex(),
            text=self.text(row),
            domain=self.domains[domain] if domain >= 0 else None,
            language=self.languages[language] if language >= 0 else None,
        )

    def text(self, row: int) -> str:
        """The text of document `row`, counted from 0."""
        start = int(self.ends[row - 1]) if row else self._start
        return self._read(start, int(self.ends[row]) - start).decode()

    def _read(self, start: int, size: int) -> bytearray:
        # Not mapped: pages of a mapping that is read through would count as this process's memory.
        found = bytearray()
        while len(found) < size:
            left = min(size - len(found), _LARGEST_READ)
            part = os.pread(self._text, left, start + len(found))
            if not part:
                raise DataError("is shorter than it was", file=self.path / "text.bin")
            found += part
        return found

    def texts(self) -> Iterator[str]:
        """Every text in order, one in memory at a time."""
        return (self.text(row) for row in range(len(self)))

    def __reduce__(self) -> tuple[type[Documents], tuple[Path, tuple[int, int]]]:
        return Documents, (self.path, self._rows)

    def __repr__(self) -> str:
        return f"<{len(self):,} documents, {self.bytes:,} bytes>"


class Writer:
    """Writes a split's folder, document by document; they must come in the order of their ids."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.documents = self.bytes = 0
        self._files = {
            name: HashedFile(folder / f"{name}.bin") for name in ("text", "ends", "ids", "codes")
        }

    def add(self, digest: bytes, content: bytes, domain: int, language: int) -> None:
        """Add a document: 32 bytes of hash, its UTF-8 and its two codes."""
        self.documents += 1
        self.bytes += len(content)
        self._files["text"].write(content)
        self._files["ends"].write(self.bytes.to_bytes(8, "little"))
        self._files["ids"].write(digest)
        self._files["codes"].write(_CODES.pack(domain, language))

    def close(self, domains: Sequence[str], languages: Sequence[str]) -> dict[str, str]:
        """Finish; SHA-256 of each file by name."""
        found = {f"{name}.bin": file.close() for name, file in self._files.items()}
        index: dict[str, Any] = {
            "documents": self.documents,
            "bytes": self.bytes,
            "domains": list(domains),
            "languages": list(languages),
        }
        content = json.dumps(index, ensure_ascii=False, indent=1).encode()
        (self.folder / INDEX).write_bytes(content)
        return {**found, INDEX: hashlib.sha256(content).hexdigest()}


class HashedFile:
    """A file that is hashed while it is written."""

    def __init__(self, path: Path) -> None:
        self._stream: BinaryIO = path.open("wb", buffering=1 << 18)
        self._state = hashlib.sha256()

    def write(self, content: bytes) -> None:
        """Append."""
        self._stream.write(content)
        self._state.update(content)

    def close(self) -> str:
        """SHA-256 (hex) of all that was written."""
        self._stream.close()
        return self._state.hexdigest()


def map_array(path: Path, dtype: str) -> np.ndarray:
    """A file as an array [values], mapped; an empty file can't be, and is an empty array.

    Raises:
        DataError: the file isn't there.
    """
    try:
        if not path.stat().st_size:
            return np.zeros(0, dtype)
        return np.memmap(path, dtype, mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"can't be mapped ({error})", file=path) from error
