"""CSV (RFC 4180) and TSV with a header line."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from gradus.data.formats.base import Format, RawRecord, Sheet, Tally
from gradus.data.formats.files import decode_lines
from gradus.errors import DataError

# Python refuses fields above 131,072 characters, but a text can be a book.
_LONGEST_FIELD = 2**31 - 1


class Csv(Format):
    """Comma-separated values with a header; fields may be quoted and then hold line ends."""

    name: ClassVar[str] = "csv"
    summary: ClassVar[str] = "comma-separated values with a header line"
    example: ClassVar[str] = "{source: {file: intents.csv}, columns: {label: category}}"
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)
    delimiter: ClassVar[str] = ","

    def records(
        self, path: Path, *, encodings: Sequence[str] | None, tally: Tally
    ) -> Iterator[RawRecord]:
        """One record a row; blank lines are passed over."""
        rows = self._records(path, decode_lines(path, encodings or ("utf-8",), tally))
        begins, header = next(rows, (0, []))
        if not header:
            raise DataError("the file has blank lines only", file=path)
        counts = Counter(header)
        doubled = frozenset(name for name in counts if counts[name] > 1)
        sheet = Sheet(path, begins, doubled)
        width = len(header)
        for line, values in rows:
            if len(values) != width:
                raise DataError(
                    f"{_columns(len(values))}, but the header has {width}: a text that holds "
                    f"{self._delimiter_name()} must be quoted",
                    file=path,
                    line=line,
                )
            yield RawRecord(dict(zip(header, values, strict=True)), sheet, line)

    def _records(self, path: Path, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
        """Each record that isn't blank, with the number of the line it begins on."""
        csv.field_size_limit(_LONGEST_FIELD)
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        begins = 1
        while True:
            try:
                fields = next(reader, None)
            except csv.Error as error:
                raise DataError(
                    f"broken quotes ({error}): a quote within a quoted text is doubled, and every "
                    "quoted text is closed",
                    file=path,
                    line=begins,
                ) from error
            if fields is None:
                return
            if fields:
                yield begins, fields
            begins = reader.line_num + 1

    def _delimiter_name(self) -> str:
        return "a comma or a line end"


class Tsv(Csv):
    """Tab-separated values with a header."""

    name: ClassVar[str] = "tsv"
    summary: ClassVar[str] = "tab-separated values with a header line"
    example: ClassVar[str] = "{source: {file: intents.tsv}, format: tsv}"
    suffixes: ClassVar[tuple[str, ...]] = (".tsv", ".tab")
    delimiter: ClassVar[str] = "\t"

    def _delimiter_name(self) -> str:
        return "a tab or a line end"


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"
