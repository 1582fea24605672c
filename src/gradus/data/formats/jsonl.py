"""JSON lines (RFC 8259 objects, one a line, UTF-8)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from gradus.data.formats.base import Format, RawRecord, Sheet, Tally
from gradus.data.formats.files import decode_lines
from gradus.data.values import json_kind
from gradus.errors import DataError


class Jsonl(Format):
    """One JSON object a line, with a text and a label (a string or a number)."""

    name: ClassVar[str] = "jsonl"
    summary: ClassVar[str] = "one JSON object a line, with a text and a label"
    example: ClassVar[str] = "{source: {file: reviews.jsonl}, format: jsonl}"
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")

    def records(
        self, path: Path, *, encodings: Sequence[str] | None, tally: Tally
    ) -> Iterator[RawRecord]:
        """One record a line; blank lines are passed over."""
        sheet = Sheet(path)
        blank = True
        for number, line in enumerate(decode_lines(path, encodings or ("utf-8",), tally), start=1):
            if line.isspace():
                continue
            blank = False
            yield RawRecord(parse_object(line, path, number), sheet, number)
        if blank:
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
            f"must be a JSON object, is {json_kind(record)}: one object a line",
            file=file,
            line=number,
        )
    return record
