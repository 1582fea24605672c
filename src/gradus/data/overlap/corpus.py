"""A training corpus as a stream of pieces: any format, compressed or not, in constant memory."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gradus import registry
from gradus.data.formats.base import Format, Tally
from gradus.data.formats.files import (
    DAMAGE,
    broken_bytes,
    open_bytes,
    plain_suffix,
    unreadable,
)
from gradus.data.formats.text import Text
from gradus.data.overlap.ngrams import Piece
from gradus.data.pool import find_format
from gradus.errors import DataError, SourceError
from gradus.sources.base import Located, hidden, listing

Progress = Callable[[int, int, str], None]
"""Called with bytes read, bytes in all and the file under way; compressed bytes where it is."""

_CHARACTERS: Final = 1 << 18
_LONGEST_WORD: Final = 1 << 20
_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Corpus:
    """Files of a training corpus.

    Attributes:
        files: every file with its format, in order.
        text: the field of the text, in formats with fields.
    """

    files: tuple[tuple[Path, type[Format]], ...]
    text: str = "text"

    @classmethod
    def of(cls, paths: Sequence[Path], *, text: str = "text", format: str | None = None) -> Corpus:
        """The corpus of files and folders; of a folder every file in a known format.

        Args:
            paths: files and folders.
            text: the field of the text.
            format: plain name of the format; by each file's suffix when left out.

        Raises:
            SourceError: a path isn't there.
            DataError: no format has a file's suffix, or a folder has no file.
            UnknownName: there is no such format.
        """
        found: list[tuple[Path, type[Format]]] = []
        for path in paths:
            if not path.exists():
                raise SourceError(f"{path}: no such file or folder")
            for file in _inside(path, named=format is not None) if path.is_dir() else [path]:
                name = format or find_format(Located(file, {}))
                found.append((file, registry.load("formats", name)))
        return cls(tuple(found), text)

    @property
    def bytes(self) -> int:
        """Size of all files, as they are kept."""
        return sum(file.stat().st_size for file, _ in self.files)

    def facts(self) -> dict[str, object]:
        """Names and sizes of the files."""
        names = {str(file.resolve()): file.stat().st_size for file, _ in self.files}
        return {"files": names, "text": self.text}

    def pieces(self, progress: Progress | None = None) -> Iterator[Piece]:
        """Every text, in order.

        Of plain text a line is a document, but n-grams run over its end, since lines may be
        wrapped; elsewhere a record is a document, and no n-gram leaves it.

        Raises:
            DataError: the first thing that is broken, with file, line and field.
        """
        document, meter = 0, Meter(self.bytes, progress)
        for file, kind in self.files:
            if issubclass(kind, Text):
                lines = _lines(file)
            else:
                lines = ((text, True, False) for text in self._records(file, kind))
            for text, ends, joined in lines:
                yield Piece(text, document, joined)
                document += ends
                meter.tell(file)
            document += 1
            meter.finished(file)

    def _records(self, file: Path, kind: type[Format]) -> Iterator[str]:
        for record in kind().records(file, encodings=None, tally=Tally()):
            text = record.fields.get(self.text)
            if not isinstance(text, str):
                there = listing(str(name) for name in record.fields)
                raise DataError(
                    f"no text there: say which field holds it with --text (there are {there})",
                    file=file,
                    line=record.line,
                    field=self.text,
                )
            yield text


def _inside(folder: Path, *, named: bool) -> list[Path]:
    kinds = [registry.load("formats", name) for name in registry.names("formats")]
    known = sorted({suffix for kind in kinds for suffix in kind.suffixes})
    found = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file()
        and not any(hidden(part) for part in file.relative_to(folder).parts)
        and (named or plain_suffix(file) in known)
    )
    if not found:
        raise DataError(f"holds no file that ends in {' or '.join(known)}", file=folder)
    return found


def _lines(file: Path) -> Iterator[tuple[str, bool, bool]]:
    """Parts of plain text: the text, whether a line ends there, whether it follows another.

    A line may be as long as it likes: it is read in parts that end between words.
    """
    rest, joined = "", False
    try:
        with (
            open_bytes(file) as raw,
            io.TextIOWrapper(raw, encoding="utf-8-sig", newline=None) as stream,
        ):
            while True:
                read = stream.read(_CHARACTERS)
                chunk = rest + read
                cut = max(chunk.rfind(" "), chunk.rfind("\n")) + 1
                if not read or (not cut and len(chunk) >= _LONGEST_WORD):
                    cut = len(chunk)
                rest = chunk[cut:]
                for line in chunk[:cut].splitlines(keepends=True):
                    yield line, line.endswith("\n"), joined
                    joined = True
                if not read:
                    break
    except UnicodeDecodeError as error:
        raise broken_bytes(file, "utf-8") from error
    except (OSError, *DAMAGE) as error:
        raise unreadable(file, error) from error
    if not joined:
        raise DataError("the file is empty", file=file)


class Meter:
    """Tells how many bytes have been read, a few times a second."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress = total, progress
        self._before = 0
        self._last = time.monotonic()

    def tell(self, file: Path) -> None:
        """Say how far this file has been read, unless that was said just now."""
        if self._progress is None or time.monotonic() - self._last < _SECONDS:
            return
        self._progress(self._before + _position(file), self._total, file.name)
        self._last = time.monotonic()

    def finished(self, file: Path) -> None:
        """Count a file as read to its end."""
        self._before += file.stat().st_size
        if self._progress is not None:
            self._progress(self._before, self._total, file.name)


def _position(file: Path) -> int:
    """How far this process has read the file; 0 where the system doesn't tell.

    Readers that decompress, and pyarrow, open files themselves; the system knows how far they are.
    """
    import psutil

    path = str(file.resolve())
    for opened in psutil.Process().open_files():
        if opened.path == path:
            return int(getattr(opened, "position", 0))
    return 0
