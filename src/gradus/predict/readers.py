"""Reading texts, or pairs of texts, to classify: JSON lines, CSV, TSV or one text a line.

Unlike training data they carry no labels, and a bad line stops nothing: it becomes a `BadLine`
where it stood. Memory is bounded by the longest line that is let through.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from gradus.errors import DataError, UsageError, unknown
from gradus.predict import entries
from gradus.predict.entries import BadLine, Entry, Lines, Place, TextItem
from gradus.records import Pair

_PACKED: Final[Mapping[bytes, str]] = {
    b"\x1f\x8b": "gzip",
    b"BZh91AY": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"PAR1\x15": "Parquet",
}
"""How files begin that hold texts, but not as lines."""
_SUFFIXES: Final[Mapping[str, str]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "lines",
}


__all__ = ["BadLine", "Entry", "Place", "TextItem", "TextReader", "read_texts"]

Fields = tuple[str, ...]


class TextReader:
    """The texts of a stream, in order, each as soon as its line is there.

    Attributes:
        format: ``jsonl``, ``csv``, ``tsv`` or ``lines``.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        format: str = "auto",
        name: str | Path = "-",
        text_field: str | Sequence[str] = "text",
        start: Place | None = None,
    ) -> None:
        """Settle the format; see `read_texts`, and:

        Args:
            start: go on from there, where an earlier reader of the same stream stood. What lies
                before is read again and compared.
        """
        fields = (text_field,) if isinstance(text_field, str) else tuple(text_field)
        if len(fields) not in (1, 2):
            raise UsageError(f"{len(fields)} text fields: name one, or the two of a pair of texts")
        if format not in (*FORMATS, "auto"):
            raise UsageError(unknown("format", format, (*FORMATS, "auto")))
        self._lines = Lines(stream, name)
        self.format = _guess(self._lines, name) if format == "auto" else format
        if self.format == "lines" and len(fields) == 2:
            raise UsageError("a line holds one text: for pairs of texts use JSON lines, CSV or TSV")
        self._entries = FORMATS[self.format](self._lines, fields, name, start)

    def __iter__(self) -> Iterator[Entry]:
        return self._entries

    @property
    def place(self) -> Place:
        """Right behind the entry that was read last."""
        return self._lines.place

    @property
    def empty(self) -> bool:
        """Whether there is no line, asked before any entry was read."""
        return self._lines.first() is None


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
        UsageError: the format is unknown, or a compressed file's; or lines shall hold pairs, or
            there are more than two fields.
        DataError: a CSV or TSV header lacks the column.
    """
    return iter(TextReader(stream, format=format, name=name, text_field=text_field))


def _guess(lines: Lines, name: str | Path) -> str:
    suffix = Path(name).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    first = lines.first()
    if first is None:
        return "lines"
    for begins, packed in _PACKED.items():
        if first[1] is not None and first[1].startswith(begins):
            raise UsageError(
                f"{name} is a {packed} file: unpack it first, into JSON lines, CSV, TSV or one "
                "text a line"
            )
    looks_like_json = first[1] is not None and first[1].lstrip().startswith(b"{")
    return "jsonl" if looks_like_json else "lines"


class _Unusable(Exception):
    """Why a record can't be classified."""


def _decoded(line: bytes | None) -> str:
    if line is None:
        raise _Unusable(f"longer than {entries.LONGEST_LINE:,} bytes")
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


def _read_lines(
    lines: Lines, fields: Fields, name: str | Path, start: Place | None
) -> Iterator[Entry]:
    lines.skip(start)
    for number, line in lines:
        try:
            yield TextItem(number, _checked(_decoded(line)))
        except _Unusable as error:
            yield BadLine(number, str(error))


def _read_jsonl(
    lines: Lines, fields: Fields, name: str | Path, start: Place | None
) -> Iterator[Entry]:
    lines.skip(start)
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

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.fault: str | None = None

    @property
    def number(self) -> int:
        """Of the line that was read last."""
        return self._lines.number

    def __iter__(self) -> _CsvLines:
        return self

    def __next__(self) -> str:
        _, line = next(self._lines)
        try:
            return _decoded(line) + "\n"
        except _Unusable as error:
            self.fault = self.fault or str(error)
            return (line or b"").decode("utf-8", "replace") + "\n"


def _read_csv(
    lines: Lines,
    wanted: Fields,
    name: str | Path,
    start: Place | None,
    delimiter: str = ",",
) -> Iterator[Entry]:
    csv.field_size_limit(entries.LONGEST_LINE)
    source = _CsvLines(lines)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    header = _header(reader, source, wanted, name)
    lines.skip(start)
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


def _read_tsv(
    lines: Lines, fields: Fields, name: str | Path, start: Place | None
) -> Iterator[Entry]:
    return _read_csv(lines, fields, name, start, delimiter="\t")


_Format = Callable[[Lines, Fields, "str | Path", "Place | None"], Iterator[Entry]]

FORMATS: Final[Mapping[str, _Format]] = {
    "jsonl": _read_jsonl,
    "csv": _read_csv,
    "tsv": _read_tsv,
    "lines": _read_lines,
}
