"""CSV (RFC 4180) and TSV with a header line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from gradus.data.config import ColumnsConfig
from gradus.data.formats.base import (
    Format,
    Row,
    Tally,
    check_text,
    choose_column,
    decode_lines,
)
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

    def rows(
        self,
        path: Path,
        *,
        columns: ColumnsConfig,
        encodings: Sequence[str] | None,
        tally: Tally,
    ) -> Iterator[Row]:
        """One row a record; blank lines are passed over."""
        records = self._records(path, decode_lines(path, encodings or ("utf-8",), tally))
        begins, header = next(records, (0, []))
        if not header:
            raise DataError("the file has blank lines only", file=path)
        names = list(dict.fromkeys(header))
        text, label = (
            header.index(_unique(name, header, path))
            for name in (
                choose_column(columns.text, names, "text", path, begins),
                choose_column(columns.label, names, "label", path, begins),
            )
        )
        for line, fields in records:
            if len(fields) != len(header):
                raise DataError(
                    f"{_columns(len(fields))}, but the header has {len(header)}: a text that holds "
                    f"{self._delimiter_name()} must be quoted",
                    file=path,
                    line=line,
                )
            if not fields[label].strip():
                raise DataError("the label is empty", file=path, line=line, field=header[label])
            checked = check_text(fields[text], path, line, header[text])
            yield Row(checked, fields[label], path, line)

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


def _unique(name: str, header: list[str], path: Path) -> str:
    if header.count(name) > 1:
        raise DataError("two columns have this name", file=path, line=1, field=name)
    return name
