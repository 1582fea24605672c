"""Copying a checkpoint so that the copy is whole and checked, or doesn't exist."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from gradus.checkpoints.manifest import MANIFEST, Manifest, read_manifest, verify
from gradus.checkpoints.save import put_in_place, storage_errors, temporary
from gradus.disk import sync
from gradus.errors import CheckpointError, UsageError


def copy_checkpoint(
    source: Path, folder: Path, *, also: Callable[[Path], None] = lambda partial: None
) -> Manifest:
    """Copy the files that the manifest names, and the manifest; the copy is hashed.

    Args:
        source: a checkpoint's folder.
        folder: where the copy shall stand; new or empty. Its parent is made when missing.
        also: writes what shall join the copy (see `is_companion`) into the folder it is given.

    Raises:
        CheckpointError: a file of `source` is missing, or differs from its hash.
        UsageError: `folder` holds something, or lies within `source`.
        StorageError: the disk is full or the folder can't be written; nothing is left behind.
    """
    manifest = read_manifest(source)
    _check(source, folder)
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with temporary(folder) as partial:
            for name in (*manifest.files, MANIFEST):
                _copy(source, partial, name)
            try:
                verify(partial)
            except CheckpointError:
                verify(source)  # tells of its own files, which is what can be mended
                raise
            also(partial)
            for path in [*partial.rglob("*"), partial]:
                sync(path)
            put_in_place(partial, folder)
    return manifest


def _copy(source: Path, partial: Path, name: str) -> None:
    target = partial / name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source / name, target)
    except (FileNotFoundError, IsADirectoryError):
        return  # what is missing is told of with everything else that is wrong


def _check(source: Path, folder: Path) -> None:
    above = next(place for place in folder.absolute().parents if place.exists())
    if not above.is_dir():
        raise UsageError(f"{above} is a file, so no folder can stand in it; choose another folder")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; choose a folder that doesn't exist or is empty")
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} isn't empty; choose a folder that doesn't exist or is empty")
    if folder.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"{folder} lies within the checkpoint itself; choose another folder")
