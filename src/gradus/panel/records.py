"""What one rater said of one writing, or of two; people and judges alike.

Standard library only. A file of ratings holds one JSON object a line::

    {"rater": "rater-1", "writing": "8f0c...", "criterion": "fluency", "value": 4, ...}
    {"rater": "rater-1", "pair": ["8f0c...", "a21b..."], "criterion": "preference", "value": 1, ...}
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from gradus.errors import DataError

Mode = Literal["likert", "pairs"]
MODES: Final[tuple[Mode, ...]] = ("likert", "pairs")
PREFERENCE: Final = "preference"
"""The criterion of a pair where it is asked as a whole."""
LOWEST, HIGHEST = 1, 5
"""The ends of the Likert scale."""
SPAN: Final = HIGHEST - LOWEST
NEITHER, FIRST, SECOND = 0, 1, 2
"""The answers to a pair: as good as one another, the first (left) is better, the second is."""


def scale(mode: Mode) -> range:
    """The whole numbers that answer a question of this mode."""
    return range(LOWEST, HIGHEST + 1) if mode == "likert" else range(NEITHER, SECOND + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """One answer of one rater.

    Attributes:
        rater: who; names are free of personal data (``rater-1``, or a judge's).
        criterion: what was asked for: a key of `gradus.panel.criteria.CRITERIA`, or `PREFERENCE`.
        value: 1 to 5 for a writing (a judge's may lie between); for a pair 0 where neither is
            better, 1 where the first is, 2 where the second is (a judge's: the mean).
        writing: the id of the writing that was judged; None for a pair.
        pair: the ids of two writings in the order in which they were shown; None for one writing.
        seconds: from showing to answering; NaN isn't allowed, 0 stands for unknown.
        at: when, ISO 8601 in UTC; empty for unknown.
        check: whether this was an attention check. Its ids belong to no writing, and nothing but
            the rater's care may be read off it.
        expected: what an attention check asked for; None for all others.
    """

    rater: str
    criterion: str
    value: float
    writing: str | None = None
    pair: tuple[str, str] | None = None
    seconds: float = 0.0
    at: str = ""
    check: bool = False
    expected: float | None = None

    def __post_init__(self) -> None:
        if (self.writing is None) == (self.pair is None):
            raise ValueError("a rating is of either a writing or a pair")
        known = scale("likert" if self.pair is None else "pairs")
        if not known[0] <= self.value <= known[-1]:
            raise ValueError(f"the value {self.value} is not from {known[0]} to {known[-1]}")
        if not math.isfinite(self.seconds) or self.seconds < 0:
            raise ValueError(f"{self.seconds} seconds are not a duration")

    @property
    def passed(self) -> bool:
        """Whether an attention check was answered as it asked; true of every other rating."""
        return not self.check or self.value == self.expected

    def to_json(self) -> dict[str, Any]:
        """The row of a file; what is empty is left out."""
        row: dict[str, Any] = {"rater": self.rater}
        if self.pair is None:
            row["writing"] = self.writing
        else:
            row["pair"] = list(self.pair)
        row |= {"criterion": self.criterion, "value": self.value, "seconds": self.seconds}
        if self.at:
            row["at"] = self.at
        if self.check:
            row |= {"check": True, "expected": self.expected}
        return row


def attentive(rows: Iterable[Rating]) -> bool:
    """Whether of a rater's attention checks at least half were answered as they ask."""
    passed = [row.passed for row in rows if row.check]
    return 2 * sum(passed) >= len(passed)


def write_ratings(path: Path, ratings: Iterable[Rating]) -> None:
    """Write a file of ratings, one row a line, so that it is there as a whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        for rating in ratings:
            file.write(json.dumps(rating.to_json(), ensure_ascii=False, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_ratings(path: Path) -> list[Rating]:
    """The ratings of a file, in its order.

    Raises:
        DataError: names the file, and the line and field of the first thing that is broken.
    """
    try:
        lines = path.read_text("utf-8").split("\n")
    except FileNotFoundError as error:
        raise DataError("there is no such file", file=path) from error
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8: {error.reason}", file=path) from error
    return [rating_of(row, path, line) for line, row in _objects(path, lines)]


def _objects(path: Path, lines: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError as error:
            raise DataError(f"not JSON: {error}", file=path, line=line) from error
        if not isinstance(row, dict):
            raise DataError("a rating is a JSON object", file=path, line=line)
        yield line, row


def rating_of(row: dict[str, Any], file: str | Path, line: int) -> Rating:
    """The rating of one row.

    Raises:
        DataError: names file, line and field of what is missing, unknown or of the wrong type.
    """
    known = Rating.__dataclass_fields__
    for name in row:
        if name not in known:
            raise DataError("no field of a rating", file=file, line=line, field=name)
    for name in ("rater", "criterion", "value"):
        if name not in row:
            raise DataError("is missing", file=file, line=line, field=name)
    for name, value in row.items():
        fault = _fault(name, value)
        if fault:
            raise DataError(f"{fault}, not {value!r}", file=file, line=line, field=name)
    pair = row.get("pair")
    try:
        return Rating(**(row | {"pair": tuple(pair) if pair is not None else None}))
    except ValueError as error:
        raise DataError(str(error), file=file, line=line) from error


def _fault(name: str, value: Any) -> str | None:
    """What the field `name` must be, where `value` isn't."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in {"value", "seconds"}:
        return None if number and math.isfinite(value) else "must be a number"
    if name == "expected":
        return None if value is None or number else "must be a number"
    if name == "check":
        return None if isinstance(value, bool) else "must be true or false"
    if name == "pair":
        fine = (
            isinstance(value, list) and len(value) == 2 and all(isinstance(x, str) for x in value)
        )
        return None if value is None or fine else "must be a list of two ids"
    if name == "writing" and value is None:
        return None
    fine = isinstance(value, str) and (bool(value) or name == "at")
    return None if fine else "must be text"
