"""From a window of entries to the bytes of their records.

Legend: D width of vectors.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from gradus.predict.entries import BadLine, Entry, TextItem
from gradus.predict.stream import record_of
from gradus.predict.tasks import Answered, Answerer, Job, Vectors, open_job

NPY_HEAD: Final = 128
"""Bytes of a .npy file before its numbers."""


class Here:
    """Answers windows in this process; call it with one."""

    def __init__(self, job: Job) -> None:
        """Load what answers.

        Raises:
            GradusError: see `open_job`.
        """
        self._job, self._answers = job, open_job(job)

    def __call__(self, entries: Sequence[Entry]) -> Answered:
        """The bytes of the records of `entries`."""
        if self._job.rows:
            assert isinstance(self._answers, Vectors)
            return rows(self._answers, entries)
        return lines(self._answers, entries, echo=self._job.echo)


def lines(answers: Answerer, entries: Sequence[Entry], *, echo: bool) -> Answered:
    """JSON lines."""
    items = [entry for entry in entries if isinstance(entry, TextItem)]
    found = iter(answers(items, echo=echo))
    parts = [
        line(record_of(entry, {} if isinstance(entry, BadLine) else next(found), echo=echo))
        for entry in entries
    ]
    return Answered.of(b"".join(parts), [isinstance(entry, BadLine) for entry in entries])


def rows(answers: Vectors, entries: Sequence[Entry]) -> Answered:
    """float32 [n, D], row by row; a bad line's row is NaN."""
    import numpy as np

    good = [isinstance(entry, TextItem) for entry in entries]
    found = answers.rows([e.text for e in entries if isinstance(e, TextItem)])
    every = np.full((len(entries), found.shape[1]), np.nan, dtype="<f4")
    every[np.array(good, dtype=bool)] = found
    return Answered.of(every.tobytes(), [not g for g in good])


def line(record: dict[str, Any]) -> bytes:
    """One record as a line of JSON."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair in the record's own id
        return (json.dumps(record, allow_nan=False) + "\n").encode("ascii")


def npy_head(records: int, size: int) -> bytes:
    """The first `NPY_HEAD` bytes of a .npy file with `size` bytes of float32, a row a record.

    Source: NumPy Enhancement Proposal 1, format version 1.0.
    """
    width = size // (4 * records) if records else 0
    said = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({records}, {width}), }}"
    return (
        b"\x93NUMPY\x01\x00"
        + (NPY_HEAD - 10).to_bytes(2, "little")
        + said.ljust(NPY_HEAD - 11).encode()
        + b"\n"
    )
