"""Apache Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Final

from gradus.data.formats.base import Format, RawRecord, Sheet, Tally
from gradus.errors import DataError

_ROWS_AT_ONCE: Final = 4096


class Parquet(Format):
    """Parquet files, read in batches from one row group after the other.

    A row's number, from 1, stands where other formats have the line.
    """

    name: ClassVar[str] = "parquet"
    summary: ClassVar[str] = "Apache Parquet, one text a row"
    example: ClassVar[str] = (
        "{source: {file: reviews.parquet}, columns: {text: review, label: stars}}"
    )
    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    def records(
        self, path: Path, *, encodings: Sequence[str] | None, tally: Tally
    ) -> Iterator[RawRecord]:
        """One record a row. Parquet's text is UTF-8, so `encodings` has no part."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        sheet, number = Sheet(path, names_line=1), 0
        try:
            with pq.ParquetFile(path) as file:
                tally.count(path, "utf-8", ("utf-8",))
                for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, use_threads=False):
                    for fields in batch.to_pylist():
                        number += 1
                        yield RawRecord(fields, sheet, number)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise DataError(
                f"can't be read as Parquet, after {number:,} rows ({reason})", file=path
            ) from error
        if not number:
            raise DataError("the file has no rows", file=path)
