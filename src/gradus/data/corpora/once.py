"""Folders that are made once, whole or not at all, by whichever process comes first."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gradus.disk import sync
from gradus.errors import StorageError


def make_once(target: Path, marker: str, write: Callable[[Path], None]) -> None:
    """Have `write` fill the folder `target`, unless it has been filled.

    It is written beside the target, synced to disk and renamed; what a killed process left there
    goes first. Of several processes one writes, and the others wait for it.

    Args:
        target: the folder.
        marker: the file in it that says it is there.
        write: fills the folder that it is given.

    Raises:
        StorageError: the disk is full, or the place can't be written; nothing is left behind.
    """
    if (target / marker).is_file():
        return
    partial = target.parent / f".{target.name}.partial"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.parent / f".{target.name}.lock"):
            if (target / marker).is_file():
                return
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                write(partial)
                for path in [*partial.rglob("*"), partial]:
                    sync(path)
                partial.rename(target)
                sync(target.parent)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"{target}: can't be written ({error.strerror}): make room or choose another folder"
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
