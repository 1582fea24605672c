"""What a format is: a streaming reader from a file or folder to labelled texts."""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Final, Literal, NamedTuple

from gradus.data.config import ColumnsConfig
from gradus.errors import DataError
from gradus.records import Span
from gradus.sources.base import listing

Role = Literal["text", "label"]
USUAL_NAMES: Final[dict[Role, tuple[str, ...]]] = {
    "text": ("text",),
    "label": ("label", "category", "class"),
}


class Row(NamedTuple):
    """One labelled text and where it stands.

    Attributes:
        text: the text; a `Pair` where two belong together.
        label: one name; several names; a number; spans, in order of their start.
        file: where it stands.
        line: in that file, from 1.
        words: (start, end) of the text's words in characters, where the target is spans.
        columns: further fields that are kept, as text.
    """

    text: str
    label: str | tuple[str, ...] | float | tuple[Span, ...]
    file: Path
    line: int
    words: tuple[tuple[int, int], ...] | None = None
    columns: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True)
class Tally:
    """What a reader saw: number of files, files by encoding, files not in the first encoding."""

    files: int = 0
    encodings: Counter[str] = field(default_factory=Counter)
    strays: list[str] = field(default_factory=list)


class Format(ABC):
    """A data format. Readers hold one record at a time.

    Class attributes:
        name: plain name, as a plan writes it.
        summary: one line for `gradus ls`.
        example: a data set in this format as it stands in a plan, in YAML.
        suffixes: the file suffixes that ``format: auto`` recognises, in lower case.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    example: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def rows(
        self,
        path: Path,
        *,
        columns: ColumnsConfig,
        encodings: Sequence[str] | None,
        tally: Tally,
    ) -> Iterator[Row]:
        """The rows in file order; `encodings` None stands for the format's own default.

        Raises:
            DataError: names the file, the line and the field of the first thing that is broken.
        """


def decode_lines(path: Path, encodings: Sequence[str], tally: Tally) -> Iterator[str]:
    r"""The lines of a file, each with its end (``\n`` or ``\r\n``), without a byte order mark.

    Raises:
        DataError: the file is missing, empty, or not in the encoding; with the byte's offset.
    """
    encoding = choose_encoding(path, encodings)
    count(path, encoding, encodings, tally)
    empty = True
    try:
        with path.open(encoding=with_bom(encoding), newline="\n") as stream:
            for line in stream:
                empty = False
                yield line
    except UnicodeDecodeError as error:
        raise broken_bytes(path, encoding) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if empty:
        raise DataError("the file is empty", file=path)


def count(path: Path, encoding: str, encodings: Sequence[str], tally: Tally) -> None:
    """Note in the tally that a file was read in an encoding."""
    tally.files += 1
    tally.encodings[encoding] += 1
    if encoding != encodings[0]:
        tally.strays.append(str(path))


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
        with path.open("rb") as stream:
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
    except OSError as error:
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


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file that the system won't give."""
    return DataError(f"can't be read ({error.strerror or error})", file=path)


def check_text(text: str, file: Path, line: int, column: str | None) -> str:
    """The text itself, unless it is empty or can't be written as UTF-8."""
    if not text or text.isspace():
        raise DataError("the text is empty: drop the row", file=file, line=line, field=column)
    check_unicode(text, file, line, column)
    return text


def check_unicode(value: str, file: Path, line: int, column: str | None) -> None:
    """A lone surrogate (half of a pair, as JSON can escape it) is no character."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"holds U+{ord(value[error.start]):04X}, half of a surrogate pair, which is no "
            "character",
            file=file,
            line=line,
            field=column,
        ) from error


def choose_column(
    wanted: str | None, present: Collection[str], role: Role, file: Path, line: int
) -> str:
    """The field that holds the text or the label: as configured, else by its usual name."""
    names = USUAL_NAMES[role]
    if wanted is not None:
        if wanted in present:
            return wanted
        near = get_close_matches(wanted, list(present), n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {listing(present)}"
        raise DataError(
            f"no such column for the {role}: {hint}", file=file, line=line, field=wanted
        )
    found = [name for name in present if name.strip().lower() in names]
    if len(found) == 1:
        return found[0]
    usual = " or ".join(f"'{name}'" for name in names)
    if found:
        problem = f"{len(found)} columns could hold the {role}, {listing(found)}"
    else:
        problem = f"no column called {usual} for the {role}; there are {listing(present)}"
    raise DataError(f"{problem}: name it with 'columns: {{{role}: …}}'", file=file, line=line)
