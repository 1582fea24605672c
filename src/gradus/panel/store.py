"""Where answers are kept until a panel is complete: one SQLite file that a crash can't hurt.

The file is in write-ahead mode with ``synchronous=FULL``: when a submission has been confirmed it
is on the disk, and one that was cut off in the middle isn't there at all. Nothing is ever
overwritten: an answer that is taken back keeps its row and gets the time of that.

Every form carries a nonce that belongs to this rater, this item and this attempt at it. It is the
key of an answer, so a form that is sent twice, or replayed later, changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from gradus.errors import StorageError, UsageError
from gradus.panel.records import MODES, Mode, Rating, scale
from gradus.panel.schema import FORMAT, connect, make
from gradus.panel.tokens import Seal, same


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that a rater is shown.

    Attributes:
        first: the id of the writing, or of the left one of a pair; ``check-1`` and so on for an
            attention check.
        second: the id of the right one of a pair; None for one writing.
        expected: what an attention check asks for; None for all others.
        name: what the page calls it; made by the store.
        position: its place in the rater's order, from 0.
    """

    first: str
    second: str | None = None
    expected: int | None = None
    name: str = ""
    position: int = 0

    @property
    def check(self) -> bool:
        """Whether it is an attention check."""
        return self.expected is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a rater is; attention checks count like all other items."""

    rater: str
    answered: int
    total: int

    @property
    def finished(self) -> bool:
        """Whether everything has been answered."""
        return self.total > 0 and self.answered == self.total


class Store:
    """The answers of one panel. Safe for several threads, and for several processes.

    Attributes:
        path: the file.
        mode: likert or pairs.
        criteria: what is asked of every item.
        samples: the digest of the writings that are judged.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self._lock = threading.Lock()
        about = dict(connection.execute("SELECT name, value FROM panel"))
        if about.get("format") != str(FORMAT):
            raise StorageError(
                f"{path}: written in format {about.get('format')}, this version reads {FORMAT}"
            )
        self._seal = Seal(about["secret"])
        self.mode: Mode = next(mode for mode in MODES if mode == about["mode"])
        self.criteria: tuple[str, ...] = tuple(json.loads(about["criteria"]))
        self.samples: str = about["samples"]

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a panel's file that exists.

        Raises:
            StorageError: there is none, or it is no panel's.
        """
        if not path.is_file():
            raise StorageError(f"{path}: there is no panel; `gradus rate RUN` makes one")
        try:
            with ExitStack() as undo:
                connection = connect(path)
                undo.callback(connection.close)
                store = cls(path, connection)
                undo.pop_all()
                return store
        except sqlite3.DatabaseError as error:
            raise StorageError(f"{path}: no panel's file ({error})") from error

    @classmethod
    def create(cls, path: Path, *, mode: Mode, criteria: Sequence[str], samples: str) -> Self:
        """Make a panel's file, or open the one that is there.

        Raises:
            UsageError: the one that is there asks something else, or of other writings.
        """
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            make(path, mode, criteria, samples)
        store = cls.open(path)
        if (store.mode, store.criteria, store.samples) != (mode, tuple(criteria), samples):
            store.close()
            raise UsageError(
                f"{path}: answers to other questions or of other writings are kept there; "
                "give the panel a place of its own"
            )
        return store

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # --- who is asked what

    def enrol(self, rater: str, items: Sequence[Item]) -> None:
        """Give a rater the items to answer, in this order; nothing happens if there are some."""
        with self._writing() as db:
            if db.execute("SELECT 1 FROM raters WHERE rater = ?", (rater,)).fetchone():
                return
            number = db.execute("SELECT count(*) FROM raters").fetchone()[0]
            db.execute("INSERT INTO raters (rater, number) VALUES (?, ?)", (rater, number))
            db.executemany(
                "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (
                        rater,
                        at,
                        self._seal.sign("item", rater, str(at)),
                        x.first,
                        x.second,
                        x.expected,
                    )
                    for at, x in enumerate(items)
                ],
            )

    def raters(self) -> list[str]:
        """Everyone who was enrolled, in that order."""
        return [rater for (rater,) in self._read("SELECT rater FROM raters ORDER BY number")]

    def token(self, rater: str) -> str:
        """What a rater's link ends in; it can't be guessed, and stays the same."""
        return self._seal.sign("token", rater)

    def rater_of(self, token: str) -> str | None:
        """Whose token it is, in a time that says nothing of how much of it was right."""
        found = None
        for rater in self.raters():
            if same(self.token(rater), token):
                found = rater
        return found

    def outside(self, writing: str) -> str:
        """What a writing is called in another tool: other than its id, no digest of its writer."""
        return self._seal.sign("outside", writing)

    def items(self, rater: str) -> list[Item]:
        """What a rater is shown, in order."""
        rows = self._read(
            "SELECT first, second, expected, item, position FROM items WHERE rater = ?"
            " ORDER BY position",
            rater,
        )
        return [
            Item(first=first, second=second, expected=expected, name=item, position=position)
            for first, second, expected, item, position in rows
        ]

    def language(self, rater: str) -> str | None:
        """The language that a rater chose, if any."""
        chosen = self._read("SELECT language FROM raters WHERE rater = ?", rater)
        return chosen[0][0] if chosen else None

    def speak(self, rater: str, language: str) -> None:
        """Remember the language that a rater chose."""
        with self._writing() as db:
            db.execute("UPDATE raters SET language = ? WHERE rater = ?", (language, rater))

    # --- what is answered

    def progress(self) -> list[Progress]:
        """How far everyone is, in the order of enrolment."""
        rows = self._read(
            "SELECT r.rater, (SELECT count(*) FROM answers a WHERE a.rater = r.rater"
            " AND a.withdrawn IS NULL), (SELECT count(*) FROM items i WHERE i.rater = r.rater)"
            " FROM raters r ORDER BY r.number"
        )
        return [Progress(rater=rater, answered=done, total=all_) for rater, done, all_ in rows]

    def finished(self) -> tuple[str, ...]:
        """The raters who have answered everything, in the order of enrolment."""
        return tuple(each.rater for each in self.progress() if each.finished)

    def next(self, rater: str) -> Item | None:
        """The first item that has no answer; None at the end."""
        answered = self._read(
            "SELECT item FROM answers WHERE rater = ? AND withdrawn IS NULL", rater
        )
        return next((x for x in self.items(rater) if (x.name,) not in answered), None)

    def nonce(self, rater: str, item: str) -> str:
        """What the form of an item carries: another one after each time an answer is taken back."""
        attempts = self._read(
            "SELECT count(*) FROM answers WHERE rater = ? AND item = ? AND withdrawn IS NOT NULL",
            rater,
            item,
        )
        return self._seal.sign("answer", rater, item, str(attempts[0][0]))

    def submit(
        self, rater: str, item: str, nonce: str, scores: Mapping[str, int], seconds: float
    ) -> bool:
        """Keep an answer; when this returns it is on the disk.

        Args:
            rater: who.
            item: what the page calls the item.
            nonce: what the form carried.
            scores: the value of each criterion.
            seconds: from showing to answering.

        Returns:
            Whether it is kept now or was already. False for a form that is out of date: one that
            was answered otherwise before (in another window), of an attempt that was taken back,
            of another rater's item, or of none at all.
        """
        if set(scores) != set(self.criteria):
            raise ValueError(f"an answer is to {self.criteria}, not to {tuple(scores)}")
        if not all(value in scale(self.mode) for value in scores.values()):
            raise ValueError(f"{dict(scores)}: answers are in {scale(self.mode)}")
        with self._writing() as db:
            known = (
                "SELECT s.criterion, s.value FROM answers a JOIN scores s USING (nonce)"
                " WHERE a.nonce = ? AND a.rater = ? AND a.item = ? AND a.withdrawn IS NULL"
            )
            before = dict(db.execute(known, (nonce, rater, item)).fetchall())
            if before:
                return before == dict(scores)
            theirs = "SELECT 1 FROM items WHERE rater = ? AND item = ?"
            if db.execute(theirs, (rater, item)).fetchone() is None:
                return False
            # Reads see what this very transaction sees, so that no other can come between.
            (attempts,) = db.execute(
                "SELECT count(*) FROM answers WHERE rater = ? AND item = ?", (rater, item)
            ).fetchone()
            if not same(self._seal.sign("answer", rater, item, str(attempts)), nonce):
                return False
            db.execute(
                "INSERT INTO answers (nonce, rater, item, seconds, at) VALUES (?, ?, ?, ?, ?)",
                (nonce, rater, item, seconds, _now()),
            )
            db.executemany(
                "INSERT INTO scores VALUES (?, ?, ?)",
                [(nonce, criterion, scores[criterion]) for criterion in self.criteria],
            )
            return True

    def last(self, rater: str) -> tuple[str, str] | None:
        """The item that was answered last, and its nonce; None when nothing was."""
        rows = self._read(
            "SELECT item, nonce FROM answers WHERE rater = ? AND withdrawn IS NULL"
            " ORDER BY rowid DESC LIMIT 1",
            rater,
        )
        return rows[0] if rows else None

    def withdraw(self, rater: str, nonce: str) -> bool:
        """Take an answer back; its item is open again. Whether it was there to be taken back."""
        with self._writing() as db:
            changed = db.execute(
                "UPDATE answers SET withdrawn = ? WHERE rater = ? AND nonce = ?"
                " AND withdrawn IS NULL",
                (_now(), rater, nonce),
            )
            return changed.rowcount == 1

    def given(self, rater: str, item: str) -> dict[str, int]:
        """What was answered the last time that this item was, taken back or not."""
        rows = self._read(
            "SELECT s.criterion, s.value FROM scores s WHERE s.nonce ="
            " (SELECT nonce FROM answers WHERE rater = ? AND item = ? ORDER BY rowid DESC LIMIT 1)",
            rater,
            item,
        )
        return dict(rows)

    def rows(self) -> list[Rating]:
        """Every answer that counts, by rater, in the order in which they were shown."""
        rows = self._read(
            "SELECT a.rater, i.first, i.second, i.expected, a.seconds, a.at, s.criterion, s.value"
            " FROM answers a JOIN items i USING (rater, item) JOIN scores s USING (nonce)"
            " JOIN raters r USING (rater) WHERE a.withdrawn IS NULL"
            " ORDER BY r.number, i.position, s.rowid"
        )
        return [
            Rating(
                rater=rater,
                criterion=criterion,
                value=value,
                writing=first if second is None else None,
                pair=None if second is None else (first, second),
                seconds=seconds,
                at=at,
                check=expected is not None,
                expected=expected,
            )
            for rater, first, second, expected, seconds, at, criterion, value in rows
        ]

    # --- the file

    def _read(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that nobody else writes beside; undone by an error."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
