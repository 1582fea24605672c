"""How often each test split has been read, over all runs of a user.

Every look at a test split makes the next result on it a little less trustworthy, so looks are
counted. The ledger is ``$XDG_STATE_HOME/gradus/ledger.jsonl`` (default ``~/.local/state``): JSON
lines, appended under a lock, never rewritten. It is keyed by the split's digest, so it outlives
run folders and a renamed data set is still the same one.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Self

from gradus.errors import StorageError
from gradus.records import Record


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
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "gradus" / "ledger.jsonl"


def read(digest: str, *, data: str, run: str, reading: str, models: Sequence[str]) -> int:
    """Record one reading of the split with that digest; gives the number of readings so far.

    Called before the split is read, so that a look is counted even when the evaluation fails. A
    `reading` that is already there for this digest isn't recorded again.

    Raises:
        StorageError: the state folder can't be written, or the ledger is damaged.
    """
    path = ledger_path()
    with _locked(path) as stream:
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
        _append(stream, json.dumps(entry.to_json(), ensure_ascii=False))
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
    path = ledger_path()
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH)
            return [entry for entry in _parse(stream, path) if entry.digest == digest]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unusable(path, error) from error


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The ledger, open for reading and appending, for this process alone."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.seek(0)
            yield stream
    except OSError as error:
        raise _unusable(path, error) from error


def _append(stream: BinaryIO, line: str) -> None:
    """Write one line, whole or not at all, and wait until it is on the disk."""
    end = stream.seek(0, os.SEEK_END)
    try:
        content = f"{line}\n".encode()
        # Past the stream's buffer, which would be written again when the file is closed.
        if os.write(stream.fileno(), content) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(stream.fileno())
    except OSError:
        os.ftruncate(stream.fileno(), end)
        raise


def _parse(stream: BinaryIO, path: Path) -> Iterator[Reading]:
    for number, line in enumerate(stream, start=1):
        try:
            if not line.endswith(b"\n"):
                raise ValueError("the line is cut short")
            yield Reading.from_json(json.loads(line))
        except (ValueError, TypeError) as error:
            raise StorageError(
                f"{path}, line {number:,}: the ledger of test readings is damaged ({error}): mend "
                "the line, or delete it and lose the reading that it counted"
            ) from error


def _unusable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path}: the ledger of test readings can't be used ({error.strerror}); make the folder "
        "writable, or set XDG_STATE_HOME to a folder that is"
    )
