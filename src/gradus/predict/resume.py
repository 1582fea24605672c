"""An output file that outlives its process: killed anywhere, the same command goes on.

Records go to ``FILE.partial``, and ``FILE.journal`` says how far they are good. Its first line is
what the output rests on; each further line is a `Mark`, written after the bytes that it speaks of
are on the disk. What lies behind the last mark, a torn record included, is cut off and made anew.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from gradus.disk import sync
from gradus.errors import DataChanged, RunBusy, StorageError, UsageError
from gradus.predict.entries import Place

FORMAT_VERSION: Final = 1
SECONDS_BETWEEN_MARKS: Final = 1.0
PARTS: Final = ("options", "input", "checkpoint", "version", "machine")
"""Of what an output rests on."""
_PIECE: Final = 1 << 20
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far output and input are good.

    Attributes:
        place: in the input, right behind the last record's line; None before the first.
        records: written so far.
        bad: those of them that are errors.
        size: of the output, in bytes.
        sha256: of those bytes, a file's head aside, in hex.
    """

    place: Place | None = None
    records: int = 0
    bad: int = 0
    size: int = 0
    sha256: str = ""

    @classmethod
    def read(cls, line: bytes) -> Self:
        """From a line of the journal.

        Raises:
            ValueError: it isn't one, or its own digest doesn't fit.
        """
        try:
            raw = json.loads(line)
            said = raw.pop("check")
            found = cls(**{**raw, "place": Place(**raw["place"])})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(str(error)) from error
        if said != found._check():
            raise ValueError("its digest doesn't fit")
        return found

    def line(self) -> bytes:
        """As a line of the journal."""
        return json.dumps({**asdict(self), "check": self._check()}).encode() + b"\n"

    def _check(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


class Output:
    """Where records go, whole windows at a time.

    Attributes:
        partial: the file that takes the target's place in the end.
        mark: what is good so far; where to go on when it was opened.
    """

    def __init__(
        self,
        target: Path,
        about: Mapping[str, Any] | None,
        *,
        restart: bool = False,
        head: int = 0,
    ) -> None:
        """Open it, and go on where an earlier process stopped.

        Args:
            target: the file that shall be written.
            about: what it rests on, plain JSON, by `PARTS`; None for an input that can't be read
                again, which keeps no journal.
            restart: begin anew, whatever stands there.
            head: so many bytes at the beginning are filled in at the end.

        Raises:
            UsageError: other options than those of the records that stand there.
            DataChanged: another input, checkpoint or version, or somebody wrote into the file.
            RunBusy: another process writes there.
            StorageError: it can't be written.
        """
        self._target, self._about, self._head = target, about, head
        self._real = target.resolve()  # behind a link stands the file that is meant
        self.partial = self._real.with_name(f"{self._real.name}.partial")
        self.journal = self._real.with_name(f"{self._real.name}.journal")
        self.mark = Mark()
        self._hash, self._size = hashlib.sha256(), 0
        self._finished = False
        self._marked, self._last = self.mark, time.monotonic()
        self._file = self._locked()
        try:
            with self._room():
                if not restart:
                    self._go_on()
                self._begin()
        except BaseException:
            self._file.close()
            raise

    @property
    def resumed(self) -> bool:
        """Whether it goes on with records of an earlier process."""
        return self._resumed

    def write(self, data: bytes, *, records: int, bad: int, place: Place | None) -> None:
        """Add the bytes of whole records; `place` is right behind them in the input."""
        with self._room():
            self._put(data)
        self._hash.update(data)
        self.mark = Mark(
            place, self.mark.records + records, self.mark.bad + bad, self._size, self._digest()
        )
        if time.monotonic() - self._last >= SECONDS_BETWEEN_MARKS:
            self.keep()

    def keep(self) -> None:
        """Put a mark behind what is good so far, so that another process can go on there."""
        if self._about is None or self.mark is self._marked:
            return
        with self._room():
            os.fsync(self._file.fileno())
            if self._marked.records == 0:
                self._found_journal()
            with self.journal.open("ab") as journal:
                journal.write(self.mark.line())
                journal.flush()
                os.fsync(journal.fileno())
        self._marked, self._last = self.mark, time.monotonic()

    def finish(self, head: bytes = b"") -> None:
        """Fill in the head and take the target's place."""
        with self._room():
            if head:
                os.pwrite(self._file.fileno(), head, 0)
            os.fsync(self._file.fileno())
            self.partial.replace(self._real)
            self._finished = True
            self.journal.unlink(missing_ok=True)
            sync(self._real.parent)

    def close(self) -> None:
        """Let go of the file; one that nothing good was written to is removed."""
        if not (self._finished or self._marked.records or self._about is None):
            self.partial.unlink(missing_ok=True)
        self._file.close()

    def _locked(self) -> Any:
        while True:
            try:
                file = os.fdopen(os.open(self.partial, os.O_RDWR | os.O_CREAT, 0o666), "r+b", 0)
            except OSError as error:
                raise StorageError(
                    f"{self.partial}: can't be written ({error.strerror}); choose another --output"
                ) from error
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.close()
                raise RunBusy(
                    f"{self.partial}: another process writes there; wait for it"
                ) from error
            if self._stands(file):
                return file
            # Who held the lock until now has finished: what was opened here is the whole target.
            file.close()

    def _stands(self, file: Any) -> bool:
        """Whether the open file is still the one under the name of the partial file."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.partial.stat())
        except FileNotFoundError:
            return False

    def _go_on(self) -> None:
        """Take over what an earlier process left, if it has left something good."""
        first, marks = self._marks()
        size = os.fstat(self._file.fileno()).st_size
        at, end = max(
            ((m, e) for m, e in marks if m.size <= size),
            key=lambda found: found[0].size,
            default=(Mark(), 0),
        )
        if not at.records:
            return  # killed between the last two steps of `finish`, it leaves a journal alone
        self._compare(first, at)
        self._compare_content(at)
        os.truncate(self.journal, end)
        self.mark = self._marked = at

    def _marks(self) -> tuple[bytes, list[tuple[Mark, int]]]:
        """The journal's first line, and its last good marks with where their lines end."""
        found: list[tuple[Mark, int]] = []
        try:
            journal = self.journal.open("rb")
        except FileNotFoundError:
            return b"", []
        with journal:
            first = journal.readline()
            end = len(first)
            for line in journal:
                try:
                    if not line.endswith(b"\n"):
                        break
                    mark = Mark.read(line)
                except ValueError:
                    break
                end += len(line)
                found = [*found[-64:], (mark, end)]
        return first, found

    def _compare(self, first: bytes, mark: Mark) -> None:
        """Refuse to go on with another output than the one that is asked for."""
        begun = (
            f"{self.partial} holds {mark.records:,} records that were begun with another "
            "{what}: {was}, now {now}; "
        )
        again = "begin anew with --restart"
        try:
            before = json.loads(first)
            if before["format_version"] != FORMAT_VERSION:
                raise ValueError(f"format version {before['format_version']}")
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{self.journal}: can't be read ({error}); {again}") from error
        if self._about is None:
            raise UsageError(
                f"{self.partial} holds {mark.records:,} records of a file that was interrupted: "
                f"give that file as --input and it goes on, or {again}"
            )
        for part in PARTS:
            was, now = before.get(part), json.loads(json.dumps(self._about.get(part)))
            if was == now:
                continue
            what = _first_difference(part, was, now)
            said = begun.format(what=what[0], was=what[1], now=what[2])
            if part == "options":
                raise UsageError(f"{said}use that again, or {again}")
            raise DataChanged(f"{said}bring it back, or {again}")

    def _compare_content(self, mark: Mark) -> None:
        left = mark.size - self._head
        self._file.seek(self._head)
        while left > 0:
            piece = self._file.read(min(_PIECE, left))
            if not piece:
                break
            self._hash.update(piece)
            left -= len(piece)
        if self._digest() != mark.sha256:
            raise DataChanged(
                f"{self.partial}: isn't as it was written; put it back, or begin anew with "
                "--restart"
            )

    def _begin(self) -> None:
        self._resumed = self.mark.records > 0
        if self._resumed:
            self._size = self.mark.size
            self._file.truncate(self._size)
            self._file.seek(self._size)
            return
        self.journal.unlink(missing_ok=True)
        self._file.truncate(0)
        self._file.seek(0)
        self._hash = hashlib.sha256()
        self._put(bytes(self._head))

    def _found_journal(self) -> None:
        """The journal with its first line; it is there whole or not at all."""
        new = self.journal.with_name(f"{self.journal.name}.new")
        with new.open("wb") as file:
            file.write(
                json.dumps({"format_version": FORMAT_VERSION, **(self._about or {})}).encode()
            )
            file.write(b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.journal)

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._size += len(data)

    def _digest(self) -> str:
        return self._hash.copy().hexdigest()

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            kept = self._marked.records
            safe = f"; {kept:,} records are safe in {self.partial}" if kept else ""
            raise StorageError(
                f"--output {self._target}: can't be written ({error.strerror}){safe}; make room "
                "and run the same command again"
            ) from error


def _first_difference(part: str, was: Any, now: Any) -> tuple[str, str, str]:
    """What differs, and its two values, in words."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for name in [*now, *was]:
            if was.get(name) != now.get(name):
                what = f"--{name.replace('_', '-')}" if part == "options" else f"{part} {name}"
                return what, _short(was.get(name)), _short(now.get(name))
    return part, _short(was), _short(now)


def _short(value: Any) -> str:
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return said if len(said) <= 64 else f"{said[:61]}..."
