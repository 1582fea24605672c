"""Reading texts, or pairs of texts, to classify: JSON lines, CSV, TSV or one text a line.

Unlike training data they carry no labels, and a bad line stops nothing: it becomes a `BadLine`
where it stood. Memory is bounded by the longest line that is let through.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from gradus.errors import DataError, UsageError, unknown
from gradus.records import Pair

LONGEST_LINE: Final = 1 << 24
_SUFFIXES: Final[Mapping[str, str]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "lines",
}


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
Fields = tuple[str, ...]


def read_texts(
    stream: BinaryIO,
    *,
    format: str = "auto",
    name: str | Path = "-",
    text_field: str | Sequence[str] = "text",
) -> Iterator[Entry]:
    """The texts of a stream, in order, each as soon as its line is there.

    Args:
        stream: bytes, UTF-8 (a byte order mark is passed over).
        format: ``jsonl``, ``csv``, ``tsv``, ``lines``, or ``auto``: by the ending of `name`, else
            JSON lines when the first line that isn't blank begins with ``{``, else lines.
        name: the file's name, for ``auto`` and for messages.
        text_field: field or column that holds the text, or the two of a pair of texts; lines have
            none.

    Raises:
        UsageError: the format is unknown, or lines shall hold pairs, or there are more than two
            fields.
        DataError: a CSV or TSV header lacks the column.
    """
    fields = (text_field,) if isinstance(text_field, str) else tuple(text_field)
    if len(fields) not in (1, 2):
        raise UsageError(f"{len(fields)} text fields: name one, or the two of a pair of texts")
    if format not in (*FORMATS, "auto"):
        raise UsageError(unknown("format", format, (*FORMATS, "auto")))
    lines = _lines(stream)
    if format == "auto":
        format, lines = _guess(lines, Path(name).suffix.lower())
    if format == "lines" and len(fields) == 2:
        raise UsageError("a line holds one text: for pairs of texts use JSON lines, CSV or TSV")
    return FORMATS[format](lines, fields, name)


def _lines(stream: BinaryIO) -> Iterator[Line]:
    """Numbered lines without their ends; None for one that is longer than `LONGEST_LINE`."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        content = line.removesuffix(b"\n")
        if len(content) > LONGEST_LINE:
            while line and not line.endswith(b"\n"):
                line = stream.readline(LONGEST_LINE)
            yield number, None
            continue
        yield number, content.removesuffix(b"\r")


def _guess(lines: Iterator[Line], suffix: str) -> tuple[str, Iterator[Line]]:
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix], lines
    first = next(lines, None)
    if first is None:
        return "lines", lines
    looks_like_json = first[1] is not None and first[1].lstrip().startswith(b"{")
    return "jsonl" if looks_like_json else "lines", _chain(first, lines)


def _chain(first: Line, rest: Iterator[Line]) -> Iterator[Line]:
    yield first
    yield from rest


class _Unusable(Exception):
    """Why a record can't be classified."""


def _decoded(line: bytes | None) -> str:
    if line is None:
        raise _Unusable(f"longer than {LONGEST_LINE:,} bytes")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Unusable(f"not valid UTF-8 at byte {error.start + 1} of the line") from error


def _checked(text: Any, field: str | None = None) -> str:
    """The text, if it is one that a tokenizer can take."""
    where = f"field '{field}' " if field else "the text "
    if not isinstance(text, str):
        raise _Unusable(f"{where}must be a string, is {type(text).__name__}")
    if not text.strip():
        raise _Unusable(f"{where}is empty")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _Unusable(
            f"{where}holds half a surrogate pair at character {error.start + 1}"
        ) from error
    return text


def _text(values: Sequence[Any], fields: Fields) -> str:
    """The text, or the pair, in these fields."""
    texts = [_checked(value, field) for value, field in zip(values, fields, strict=True)]
    return texts[0] if len(texts) == 1 else Pair(*texts)


def _read_lines(lines: Iterator[Line], fields: Fields, name: str | Path) -> Iterator[Entry]:
    for number, line in lines:
        try:
            yield TextItem(number, _checked(_decoded(line)))
        except _Unusable as error:
            yield BadLine(number, str(error))


def _read_jsonl(lines: Iterator[Line], fields: Fields, name: str | Path) -> Iterator[Entry]:
    for number, line in lines:
        if line is not None and not line.strip():
            continue
        own_id = None
        try:
            record = _parsed(_decoded(line))
            own_id = record.get("id")
            for field in fields:
                if field not in record:
                    known = ", ".join(list(record)[:10]) or "no fields"
                    raise _Unusable(f"field '{field}' is missing; the record has {known}")
            yield TextItem(number, _text([record[f] for f in fields], fields), own_id)
        except _Unusable as error:
            yield BadLine(number, str(error), own_id)


def _parsed(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _Unusable(f"not valid JSON: {error.msg} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:  # a number too long, nesting too deep
        raise _Unusable(f"not readable JSON: {error}") from error
    if not isinstance(record, dict):
        raise _Unusable("not a JSON object; one object a line is expected")
    return record


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} isn't a JSON number")


class _CsvLines:
    """What `csv.reader` reads from: text lines, faults noted on the way.

    A line that can't be decoded is handed on with its bad bytes marked, since a record may go on
    over several lines; the record is refused as a whole.
    """

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self.number = 0
        self.fault: str | None = None

    def __iter__(self) -> _CsvLines:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        try:
            return _decoded(line) + "\n"
        except _Unusable as error:
            self.fault = self.fault or str(error)
            return (line or b"").decode("utf-8", "replace") + "\n"


def _read_csv(
    lines: Iterator[Line], wanted: Fields, name: str | Path, delimiter: str = ","
) -> Iterator[Entry]:
    csv.field_size_limit(LONGEST_LINE)
    source = _CsvLines(lines)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    header = _header(reader, source, wanted, name)
    while True:
        begins, source.fault, own_id = source.number + 1, None, None
        try:
            fields = next(reader, None)
            if fields is None:
                return
            if source.fault:
                raise _Unusable(source.fault)
            if not fields:
                continue
            if len(fields) != len(header):
                raise _Unusable(
                    f"{len(fields)} columns, the header has {len(header)}; a text that holds the "
                    "delimiter, a quote or a line end must be quoted"
                )
            own_id = fields[header["id"]] if "id" in header else None
            yield TextItem(begins, _text([fields[header[w]] for w in wanted], wanted), own_id)
        except _Unusable as error:
            yield BadLine(begins, str(error), own_id)
        except csv.Error as error:
            yield BadLine(begins, f"broken quotes ({error})")


def _header(
    reader: Iterator[list[str]], source: _CsvLines, wanted: Fields, name: str | Path
) -> dict[str, int]:
    try:
        names = next(reader, None)
    except csv.Error as error:
        raise DataError(f"broken header ({error})", file=name, line=1) from error
    if source.fault:
        raise DataError(f"broken header: {source.fault}", file=name, line=1)
    header = {column: i for i, column in enumerate(names or [])}
    if names is not None and len(header) != len(names):
        raise DataError("two columns of the header have the same name", file=name, line=1)
    for field in wanted:
        if names is not None and field not in header:
            raise DataError(
                f"no such column; the header has {', '.join(names[:10]) or 'none'}: "
                "choose the column with --text-field",
                file=name,
                line=1,
                field=field,
            )
    return header


def _read_tsv(lines: Iterator[Line], fields: Fields, name: str | Path) -> Iterator[Entry]:
    return _read_csv(lines, fields, name, delimiter="\t")


FORMATS: Final[Mapping[str, Callable[[Iterator[Line], Fields, str | Path], Iterator[Entry]]]] = {
    "jsonl": _read_jsonl,
    "csv": _read_csv,
    "tsv": _read_tsv,
    "lines": _read_lines,
}
