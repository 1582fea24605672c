"""JSON lines (RFC 8259 objects, one a line, UTF-8)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from gradus.data.config import ColumnsConfig
from gradus.data.formats.base import (
    Format,
    Row,
    Tally,
    check_text,
    check_unicode,
    choose_column,
    decode_lines,
)
from gradus.errors import DataError
from gradus.sources.base import listing


class Jsonl(Format):
    """One JSON object a line, with a text and a label (a string or a number)."""

    name: ClassVar[str] = "jsonl"
    summary: ClassVar[str] = "one JSON object a line, with a text and a label"
    example: ClassVar[str] = "{source: {file: reviews.jsonl}, format: jsonl}"
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")

    def rows(
        self,
        path: Path,
        *,
        columns: ColumnsConfig,
        encodings: Sequence[str] | None,
        tally: Tally,
    ) -> Iterator[Row]:
        """One row a line; blank lines are passed over. The first object decides the columns."""
        chosen: tuple[str, str] | None = None
        for number, line in enumerate(decode_lines(path, encodings or ("utf-8",), tally), start=1):
            if line.isspace():
                continue
            record = parse_object(line, path, number)
            if chosen is None:
                chosen = (
                    choose_column(columns.text, record, "text", path, number),
                    choose_column(columns.label, record, "label", path, number),
                )
            yield _row(record, chosen, path, number)
        if chosen is None:
            raise DataError("the file has blank lines only", file=path)


def parse_object(line: str, file: Path, number: int) -> dict[str, Any]:
    """The JSON object on a line.

    Raises:
        DataError: broken JSON, with the column; or JSON that isn't an object.
    """
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(
            f"not valid JSON: {error.msg} at column {error.colno}", file=file, line=number
        ) from error
    except (ValueError, RecursionError) as error:  # a number too long, nesting too deep
        raise DataError(f"not readable JSON: {error}", file=file, line=number) from error
    if not isinstance(record, dict):
        raise DataError(
            f"must be a JSON object, is {_kind(record)}: one object a line", file=file, line=number
        )
    return record


def _row(record: dict[str, Any], columns: tuple[str, str], file: Path, line: int) -> Row:
    for column in columns:
        if column not in record:
            raise DataError(
                f"is missing; the record has {listing(record) or 'no fields'}",
                file=file,
                line=line,
                field=column,
            )
    text, label = (record[column] for column in columns)
    if not isinstance(text, str):
        raise DataError(
            f"must be a string, is {_kind(text)}", file=file, line=line, field=columns[0]
        )
    return Row(
        check_text(text, file, line, columns[0]),
        _label(label, file, line, columns[1]),
        file,
        line,
    )


def _label(value: Any, file: Path, line: int, column: str) -> str:
    """A label's name; a number is named as JSON writes it."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value):
        return str(value)
    if not isinstance(value, str):
        raise DataError(
            f"a label must be a string or a number, is {_kind(value)}",
            file=file,
            line=line,
            field=column,
        )
    if not value.strip():
        raise DataError("the label is empty", file=file, line=line, field=column)
    check_unicode(value, file, line, column)
    return value


def _kind(value: Any) -> str:
    """What JSON calls a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "a string" if isinstance(value, str) else f"the number {value}"
