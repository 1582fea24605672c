"""How often each half of dev has been looked at, over all runs of a user.

dev.gate is for verdicts: each set of checkpoints that is measured there is one look, and every
look makes the next verdict a little less trustworthy. dev.select is for choosing: each
configuration that was trained or measured against it is one. Both are counted by content: the same
plan run twice, or a checkpoint measured again, tells nothing new and counts once.

Kept in ``looks.jsonl`` beside the ledger of test readings (`gradus.ledger`), which has a file and
a format of its own that older versions go on reading.
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

HALVES: Final = ("dev.gate", "dev.select")
_WHAT: Final = "the ledger of looks at dev"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look(Record):
    """One look at a half of dev.

    `look` identifies what was looked at by its content: of dev.gate the checkpoints measured
    together, of dev.select one configuration. `compared` is the number of scores that were taken
    for it, e.g. one an epoch; `gates` the number of verdicts. `time` is ISO 8601 in UTC.
    """

    digest: str
    data: str
    split: str
    run: str
    step: str
    look: str
    time: str
    compared: int = 1
    gates: int = 0

    @classmethod
    def from_json(cls, raw: Any) -> Self:
        """Rebuild a look.

        Raises:
            TypeError: fields are missing, unknown or of the wrong type.
        """
        if not isinstance(raw, dict):
            raise TypeError("not a JSON object")
        found = cls(**raw)
        texts = (found.digest, found.data, found.split, found.run, found.step, found.look)
        if not all(isinstance(value, str) for value in (*texts, found.time)):
            raise TypeError("a field is not a string")
        if not all(type(value) is int for value in (found.compared, found.gates)):
            raise TypeError("'compared' or 'gates' is not a whole number")
        return found


def looks_path() -> Path:
    """The ledger's file, which need not exist."""
    return state_folder() / "looks.jsonl"


def note(
    digest: str,
    split: str,
    look: str,
    *,
    data: str,
    run: str,
    step: str,
    compared: int = 1,
    gates: int = 0,
) -> int:
    """Record one look at the split with that digest; gives the number of looks so far.

    A `look` that is already there for this split isn't recorded again.

    Raises:
        StorageError: the state folder can't be written, or the ledger is damaged.
    """
    path = looks_path()
    with locked(path, _WHAT) as stream:
        known = {e.look for e in _parse(stream, path) if (e.digest, e.split) == (digest, split)}
        if look in known:
            return len(known)
        entry = Look(
            digest=digest,
            data=data,
            split=split,
            run=run,
            step=step,
            look=look,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            compared=compared,
            gates=gates,
        )
        append(stream, json.dumps(entry.to_json(), ensure_ascii=False))
        return len(known) + 1


def everything() -> list[Look]:
    """All looks, oldest first.

    Raises:
        StorageError: the ledger can't be read or is damaged.
    """
    path = looks_path()
    with shared(path, _WHAT) as stream:
        return [] if stream is None else list(_parse(stream, path))


def count(known: Sequence[Look], digest: str, split: str) -> int:
    """How many of the looks `known` were at that split."""
    return len({e.look for e in known if (e.digest, e.split) == (digest, split)})


def _parse(stream: BinaryIO, path: Path) -> Iterator[Look]:
    for number, raw in lines(stream, path, _WHAT, "look"):
        try:
            yield Look.from_json(raw)
        except (ValueError, TypeError) as error:
            raise damaged(path, number, _WHAT, "look", error) from error
