"""Where ``gradus predict`` writes its records: through a pipe, or to a file that can be resumed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, Protocol

from gradus.errors import EXIT_INTERRUPTED, StorageError, UsageError

if TYPE_CHECKING:
    from gradus.predict.entries import Place


class Sink(Protocol):
    """Where records go."""

    place: Place | None
    total: int
    bad: int

    def write(self, data: bytes, *, records: int, bad: int, place: Place | None) -> None:
        """Add the bytes of whole records."""


class _Through:
    """A pipe, a device or standard output: written to as it stands."""

    place: Place | None = None
    total = bad = 0

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, data: bytes, *, records: int, bad: int, place: Place | None) -> None:
        """Write it at once."""
        self._out.write(data)
        self._out.flush()


@contextmanager
def written(
    target: Path | None, about: Mapping[str, Any] | None, *, rows: bool, restart: bool
) -> Iterator[Sink]:
    """Where records go: a file is written beside itself and renamed once it is whole.

    Raises:
        StorageError: the file can't be written, or the disk is full.
    """
    if target is None or (target.exists() and not target.is_file()):
        if rows:
            raise UsageError(f"--output {target}: .npy is begun again at the end; name a file")
        with _through(target) as sink:
            yield sink
        return
    with _to_file(target, about, rows=rows, restart=restart) as sink:
        yield sink


@contextmanager
def _through(target: Path | None) -> Iterator[Sink]:
    from gradus.predict.resume import NO_ROOM

    with ExitStack() as stack:
        try:
            out = sys.stdout.buffer if target is None else stack.enter_context(_open(target))
            yield _Through(out)
        except KeyboardInterrupt:
            _leave("interrupted")
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise StorageError(
                f"--output {target or '-'}: can't be written ({error.strerror}); make room and "
                "try again"
            ) from error


def _open(target: Path) -> BinaryIO:
    try:
        return target.open("wb")
    except OSError as error:
        raise StorageError(
            f"--output {target}: can't be written ({error.strerror}); choose another"
        ) from error


class _File:
    """A file that another process can go on with."""

    def __init__(self, output: Any) -> None:
        mark = output.mark
        self.place, self.total, self.bad = mark.place, mark.records, mark.bad
        self.write = output.write


@contextmanager
def _to_file(
    target: Path, about: Mapping[str, Any] | None, *, rows: bool, restart: bool
) -> Iterator[Sink]:
    from gradus.predict.resume import Output
    from gradus.predict.windows import NPY_HEAD, npy_head

    head = NPY_HEAD if rows else 0
    output = Output(target, about, restart=restart, head=head)
    if output.resumed:
        print(
            f"going on after {output.mark.records:,} records in {output.partial}", file=sys.stderr
        )
    try:
        with _terminated():
            yield _File(output)
            mark = output.mark
            output.finish(npy_head(mark.records, mark.size - head) if head else b"")
    except KeyboardInterrupt:
        output.keep()
        output.close()
        kept, done = output.partial, output.mark.records
        if about is None:
            _leave(f"interrupted; what was done is in {kept}")
        _leave(
            f"interrupted; {done:,} records are in {kept}: run the same command again to go on"
            if done
            else "interrupted before the first records were written"
        )
    except BaseException as error:
        if not isinstance(error, StorageError):
            output.keep()
        raise
    finally:
        output.close()


@contextmanager
def _terminated() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(message: str) -> NoReturn:
    """Say it and end at once.

    Threads in the middle of a window would be waited for otherwise; nothing that they do is needed.
    """
    print(message, file=sys.stderr, flush=True)
    os._exit(EXIT_INTERRUPTED)
