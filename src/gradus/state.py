"""What Gradus remembers over all runs of a user: files of JSON lines in the state folder.

The folder is ``$XDG_STATE_HOME/gradus`` (default ``~/.local/state``). Files are opened under a
lock and appended to by whole lines, so that processes don't lose one another's.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from gradus.errors import StorageError


def state_folder() -> Path:
    """The folder, which need not exist."""
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "gradus"


@contextmanager
def locked(path: Path, what: str) -> Iterator[BinaryIO]:
    """The file, made where it isn't there, open for reading and appending for this process alone.

    Raises:
        StorageError: the folder or the file can't be written; names it as `what`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.seek(0)
            yield stream
    except OSError as error:
        raise unusable(path, what, error) from error


@contextmanager
def shared(path: Path, what: str) -> Iterator[BinaryIO | None]:
    """The file, open for reading while nobody writes; None where there is none.

    Raises:
        StorageError: it can't be read; names it as `what`.
    """
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH)
            yield stream
    except FileNotFoundError:
        yield None
    except OSError as error:
        raise unusable(path, what, error) from error


def append(stream: BinaryIO, line: str) -> None:
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


def unusable(path: Path, what: str, error: OSError) -> StorageError:
    """The error for a file of the state folder that can't be used."""
    return StorageError(
        f"{path}: {what} can't be used ({error.strerror}); make the folder "
        "writable, or set XDG_STATE_HOME to a folder that is"
    )


def lines(stream: BinaryIO, path: Path, what: str, lost: str) -> Iterator[tuple[int, Any]]:
    """Number (from 1) and JSON value of each line; `what` is the file, `lost` what a line counts.

    Raises:
        StorageError: a line is cut short or no JSON; see `damaged`.
    """
    for number, line in enumerate(stream, start=1):
        try:
            if not line.endswith(b"\n"):
                raise ValueError("the line is cut short")
            value = json.loads(line)
        except ValueError as error:
            raise damaged(path, number, what, lost, error) from error
        yield number, value


def damaged(path: Path, number: int, what: str, lost: str, error: Exception) -> StorageError:
    """What is said of a line that can't be read."""
    return StorageError(
        f"{path}, line {number:,}: {what} is damaged ({error}): mend "
        f"the line, or delete it and lose the {lost} that it counted"
    )
