"""What is read to be predicted for: entries, the lines they stand on, and where reading stands."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from gradus.errors import DataChanged

LONGEST_LINE: Final = 1 << 24
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class TextItem:
    """One text, the line (from 1) it begins on, and the record's own id, None without one.

    A pair of texts is a `Pair`.
    """

    line: int
    text: str
    id: Any = None


@dataclass(frozen=True, slots=True)
class BadLine:
    """A record that can't be classified, and why."""

    line: int
    error: str
    id: Any = None


Entry = TextItem | BadLine
Line = tuple[int, "bytes | None"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where reading stands.

    Attributes:
        offset: bytes read.
        line: lines read.
        sha256: of those bytes, in hex.
    """

    offset: int
    line: int
    sha256: str


class Lines:
    """Numbered lines of a stream without their ends; None for one longer than `LONGEST_LINE`.

    Attributes:
        number: of the line that was read last; 0 before the first.
    """

    def __init__(self, stream: BinaryIO, name: str | Path = "-") -> None:
        self._stream, self._name = stream, name
        self._read, self._hash, self.number = 0, hashlib.sha256(), 0
        self._held: Line | None = None

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        if self._held is not None:
            held, self._held = self._held, None
            return held
        line = self._some(LONGEST_LINE + 1)
        if not line:
            raise StopIteration
        self.number += 1
        content = (line.removeprefix(b"\xef\xbb\xbf") if self.number == 1 else line).removesuffix(
            b"\n"
        )
        if len(content) <= LONGEST_LINE:
            return self.number, content.removesuffix(b"\r")
        while line and not line.endswith(b"\n"):
            line = self._some(LONGEST_LINE)
        return self.number, None

    def first(self) -> Line | None:
        """The next line, which is then read once more; None at the end."""
        self._held = next(self, None)
        return self._held

    @property
    def place(self) -> Place:
        """Right behind the line that was read last."""
        return Place(self._read, self.number, self._hash.hexdigest())

    def skip(self, place: Place | None) -> None:
        """Read on to a place where an earlier reading of the same stream stood.

        Raises:
            DataChanged: other bytes lie before it than did.
        """
        if place is None:
            return
        while self._read < place.offset:
            piece = self._stream.read(min(_PIECE, place.offset - self._read))
            if not piece:
                break
            self._read += len(piece)
            self._hash.update(piece)
        self.number, self._held = place.line, None
        if self.place != place:
            raise DataChanged(
                f"{self._name}: its first {place.offset:,} bytes are others than when they were "
                "predicted for"
            )

    def _some(self, most: int) -> bytes:
        line = self._stream.readline(most)
        self._read += len(line)
        self._hash.update(line)
        return line
