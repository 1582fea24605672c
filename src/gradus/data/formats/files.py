"""Opening data files: compression, encodings, lines."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, BinaryIO, Final, NamedTuple, cast

from gradus.data.formats.base import Tally
from gradus.errors import DataError
from gradus.sources.base import hidden, listing


def _open_zst(path: Path) -> BinaryIO:
    import pyarrow

    # io reads from it like from any raw stream, but it has no readinto of its own.
    return cast(BinaryIO, pyarrow.CompressedInputStream(str(path), "zstd"))


def _open_zip(path: Path) -> BinaryIO:
    archive = zipfile.ZipFile(path)
    return cast(BinaryIO, archive.open(_member(archive, path)))


def _member(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    """The one file in an archive; what operating systems hide in there isn't counted."""
    found = [
        info
        for info in archive.infolist()
        if not info.is_dir()
        and not any(hidden(p) or p == "__MACOSX" for p in PurePath(info.filename).parts)
    ]
    if len(found) != 1:
        names = listing(info.filename for info in found)
        raise DataError(
            f"must hold one file, holds {f'{len(found)} ({names})' if found else 'none'}: unpack "
            "it and name what you need",
            file=path,
        )
    if found[0].flag_bits & 1:
        raise DataError("is encrypted: unpack it first", file=path)
    return found[0]


_OPENERS: Final[dict[str, Callable[[Path], Any]]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _open_zst,
    ".zip": _open_zip,
}
COMPRESSED: Final = tuple(_OPENERS)
"""Suffixes of compressed files that are read as if they weren't."""

DAMAGE: Final = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile)


def plain_suffix(path: Path) -> str:
    """The suffix that says the format, in lower case: ``.csv`` for ``a.CSV.gz``.

    Raises:
        DataError: a zip archive that can't be read or doesn't hold one file.
    """
    suffix = path.suffix.lower()
    if suffix not in _OPENERS:
        return suffix
    inner = PurePath(path.stem).suffix.lower()
    if inner or suffix != ".zip":
        return inner
    try:
        with zipfile.ZipFile(path) as archive:
            return PurePath(_member(archive, path).filename).suffix.lower()
    except (zipfile.BadZipFile, OSError) as error:
        raise unreadable(path, error) from error


def open_bytes(path: Path) -> BinaryIO:
    """A file's bytes, decompressed where its suffix says so.

    Raises:
        DataError: the file can't be opened.
    """
    try:
        opener = _OPENERS.get(path.suffix.lower())
        return path.open("rb") if opener is None else cast(BinaryIO, opener(path))
    except (OSError, *DAMAGE) as error:
        raise unreadable(path, error) from error


def read_bytes(path: Path) -> bytes:
    """All bytes of a file, decompressed.

    Raises:
        DataError: the file can't be read.
    """
    try:
        with open_bytes(path) as stream:
            return stream.read()
    except (OSError, *DAMAGE) as error:
        raise unreadable(path, error) from error


def decode_lines(path: Path, encodings: Sequence[str], tally: Tally) -> Iterator[str]:
    r"""The lines of a file, each with its end (``\n`` or ``\r\n``), without a byte order mark.

    Raises:
        DataError: the file is missing, empty, or not in the encoding; with the byte's offset.
    """
    encoding = choose_encoding(path, encodings)
    tally.count(path, encoding, encodings)
    empty = True
    try:
        with (
            open_bytes(path) as raw,
            io.TextIOWrapper(raw, encoding=with_bom(encoding), newline="\n") as stream,
        ):
            for line in stream:
                empty = False
                yield line
    except UnicodeDecodeError as error:
        raise broken_bytes(path, encoding) from error
    except (OSError, *DAMAGE) as error:
        raise unreadable(path, error) from error
    if empty:
        raise DataError("the file is empty", file=path)


def decode_whole(path: Path, encodings: Sequence[str], tally: Tally) -> str:
    """All of a file's text, in the first encoding that it is in.

    Raises:
        DataError: the file can't be read, or is in none of the encodings.
    """
    content = read_bytes(path)
    for encoding in encodings:
        try:
            text = content.decode(with_bom(encoding))
        except UnicodeDecodeError:
            continue  # the next one; the error for none at all is raised below
        tally.count(path, encoding, encodings)
        return text
    raise broken_bytes(path, encodings[0])


def choose_encoding(path: Path, encodings: Sequence[str]) -> str:
    """The first encoding that the whole file is in; the first of all where none fits."""
    if len(encodings) == 1:
        return encodings[0]
    for encoding in encodings:
        if find_broken(path, encoding) is None:
            return encoding
    return encodings[0]


def with_bom(encoding: str) -> str:
    """The codec that also drops a byte order mark."""
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


class Broken(NamedTuple):
    """The first byte that isn't in an encoding: its offset from 0, its line from 1, its value."""

    offset: int
    line: int
    byte: int


def find_broken(path: Path, encoding: str, chunk_bytes: int = 1 << 20) -> Broken | None:
    """The first byte of a file that can't be decoded, or None; memory is one chunk."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    offset, line = 0, 1
    try:
        with open_bytes(path) as stream:
            while True:
                chunk = stream.read(chunk_bytes)
                pending = decoder.getstate()[0]
                try:
                    line += decoder.decode(chunk, final=not chunk).count("\n")
                except UnicodeDecodeError as error:
                    before = bytes(error.object[: error.start])
                    line += before.decode(encoding, "replace").count("\n")
                    start = offset - len(pending) + error.start
                    return Broken(start, line, error.object[error.start])
                if not chunk:
                    return None
                offset += len(chunk)
    except (OSError, *DAMAGE) as error:
        raise unreadable(path, error) from error


def broken_bytes(path: Path, encoding: str) -> DataError:
    """The error for a file that isn't in the encoding it should be in."""
    found = find_broken(path, encoding)
    if found is None:
        return DataError("the file changed while it was read: try again", file=path)
    return DataError(
        f"not valid {encoding}: byte 0x{found.byte:02x} at offset {found.offset:,}. If the file is "
        "in another encoding, say so, e.g. 'encoding: latin-1', or list several to be tried for "
        "each file, e.g. 'encoding: [utf-8, cp1252]'",
        file=path,
        line=found.line,
    )


def unreadable(path: Path, error: Exception) -> DataError:
    """The error for a file that the system won't give, or that is damaged."""
    if path.suffix.lower() in _OPENERS and path.is_file():
        reason = " ".join(str(error).split()) or type(error).__name__
        return DataError(f"can't be decompressed ({reason})", file=path)
    reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return DataError(f"can't be read ({reason})", file=path)
