"""How often each test split has been read, over all runs of a user.

Every look at a test split makes the next result on it a little less trustworthy, so looks are
counted. The ledger is ``$XDG_STATE_HOME/gradus/ledger.jsonl`` (default ``~/.local/state``): JSON
lines, appended under a lock, never rewritten. It is keyed by the split's digest, so it outlives
run folders and a renamed data set is still the same one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from gradus.records import Record
from gradus.state import append, damaged, lines, locked, shared, state_folder

_WHAT: Final = "the ledger of test readings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Record):
    """One pass over a test split, for however many models.

    `reading` identifies the pass: an evaluation that is resumed repeats it and counts once.
    `time` is ISO 8601 in UTC.
    """

    digest: str
    data: str
    run: str
    reading: str
    models: tuple[str, ...]
    time: str

    @classmethod
    def from_json(cls, raw: Any) -> Self:
        """Rebuild a reading.

        Raises:
            TypeError: fields are missing, unknown or of the wrong type.
        """
        if not isinstance(raw, dict):
            raise TypeError("not a JSON object")
        models = raw.get("models")
        if not isinstance(models, list):
            raise TypeError("'models' is not a list")
        reading = cls(**{**raw, "models": tuple(models)})
        strings = (reading.digest, reading.data, reading.run, reading.reading, reading.time)
        if not all(isinstance(value, str) for value in (*strings, *models)):
            raise TypeError("a field is not a string")
        return reading


def ledger_path() -> Path:
    """The ledger's file, which need not exist."""
    return state_folder() / "ledger.jsonl"


def read(digest: str, *, data: str, run: str, reading: str, models: Sequence[str]) -> int:
    """Record one reading of the split with that digest; gives the number of readings so far.

    Called before the split is read, so that a look is counted even when the evaluation fails. A
    `reading` that is already there for this digest isn't recorded again.

    Raises:
        StorageError: the state folder can't be written, or the ledger is damaged.
    """
    path = ledger_path()
    with locked(path, _WHAT) as stream:
        known = {e.reading for e in _parse(stream, path) if e.digest == digest}
        if reading in known:
            return len(known)
        entry = Reading(
            digest=digest,
            data=data,
            run=run,
            reading=reading,
            models=tuple(models),
            time=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        append(stream, json.dumps(entry.to_json(), ensure_ascii=False))
        return len(known) + 1


def count(digest: str) -> int:
    """How often the split with that digest has been read.

    Raises:
        StorageError: the ledger can't be read or is damaged.
    """
    return len({entry.reading for entry in entries(digest)})


def entries(digest: str) -> list[Reading]:
    """The readings of the split with that digest, oldest first.

    Raises:
        StorageError: the ledger can't be read or is damaged.
    """
    return [entry for entry in everything() if entry.digest == digest]


def everything() -> list[Reading]:
    """The readings of all test splits, oldest first.

    Raises:
        StorageError: the ledger can't be read or is damaged.
    """
    path = ledger_path()
    with shared(path, _WHAT) as stream:
        return [] if stream is None else list(_parse(stream, path))


def _parse(stream: BinaryIO, path: Path) -> Iterator[Reading]:
    for number, raw in lines(stream, path, _WHAT, "reading"):
        try:
            yield Reading.from_json(raw)
        except (ValueError, TypeError) as error:
            raise damaged(path, number, _WHAT, "reading", error) from error
