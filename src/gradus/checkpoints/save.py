"""Saving a checkpoint so that it is whole or doesn't exist.

Files are written into a hidden folder beside the target, hashed and synced to disk; the manifest
comes last; then the folder is renamed. Whoever is killed in between leaves only the hidden folder,
which the next save of the same target removes.
"""

from __future__ import annotations

import errno
import fcntl
import importlib.metadata
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gradus.checkpoints.hashing import canonical_json, content_digest, hash_file
from gradus.checkpoints.lineage import lineage_of
from gradus.checkpoints.manifest import (
    CARD,
    FORMAT_VERSION,
    MANIFEST,
    FileEntry,
    Manifest,
    is_checkpoint,
    open_checkpoint,
)
from gradus.disk import sync
from gradus.errors import CheckpointError, StorageError
from gradus.records import CheckpointRef

_STORAGE_ERRNOS: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
)
# Rust back ends (safetensors, tokenizers) put the number of the system's error into their text.
_OS_ERROR: Final = re.compile(r"os error (\d+)")


def save_checkpoint(
    folder: Path,
    *,
    kind: str,
    labels: Sequence[str],
    preprocessing: Mapping[str, Any],
    parents: Sequence[CheckpointRef],
    facts: Mapping[str, Any],
    write: Callable[[Path], None],
    name: str | None = None,
    origin: Mapping[str, Any] | None = None,
) -> CheckpointRef:
    """Save a checkpoint atomically and return a reference to it.

    Args:
        folder: where it shall stand; its parent is made when missing. A checkpoint that stands
            there already is replaced once the new one is whole.
        kind: a name of the catalog's section ``kinds``.
        labels: label names in the order of the outputs.
        preprocessing: JSON; what the predictor needs to treat texts as training did.
        parents: what the checkpoint was made from; their own lineage is carried on.
        facts: JSON; what the step says about how it was made.
        write: writes all files but the manifest into the folder that it is given.
        name: the reference's name; by default the folder's.
        origin: the reference's origin; by default the folder.

    Raises:
        StorageError: the disk is full or the folder can't be written; nothing is left behind.
        CheckpointError: `write` wrote nothing, or `folder` holds something that is no checkpoint.
    """
    folder = Path(folder)
    _check(folder, preprocessing, facts)
    lineage = lineage_of(parents)
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with temporary(folder) as partial:
            write(partial)
            files = _seal(partial)
            if not files:
                raise CheckpointError(f"{folder}: nothing was written, so there is nothing to save")
            manifest = Manifest(
                format_version=FORMAT_VERSION,
                kind=kind,
                labels=tuple(labels),
                preprocessing=dict(preprocessing),
                lineage=lineage,
                files=files,
                digest=content_digest(
                    kind=kind,
                    labels=labels,
                    preprocessing=preprocessing,
                    files={path: entry.sha256 for path, entry in files.items()},
                ),
                gradus=_version(),
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                facts=dict(facts),
            )
            _write_manifest(partial, manifest)
            put_in_place(partial, folder)
    return open_checkpoint(folder, name=name, origin=origin)


def _check(folder: Path, preprocessing: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    for what, value in (("preprocessing", preprocessing), ("facts", facts)):
        try:
            canonical_json(dict(value))
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{folder}: {what} can't be kept as JSON ({error})") from error
    if folder.is_dir() and not is_checkpoint(folder) and any(folder.iterdir()):
        raise CheckpointError(
            f"{folder}: holds files but no checkpoint, so it isn't overwritten; "
            "choose another folder or empty it"
        )
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"{folder}: is a file; a checkpoint is a folder, choose another name")


@contextmanager
def temporary(folder: Path) -> Iterator[Path]:
    """A locked, hidden sibling of `folder` that is gone afterwards, whatever happens."""
    _remove_leftovers(folder)
    partial, lock = _make_locked(folder)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        os.close(lock)


def _prefix(folder: Path) -> str:
    return f".{folder.name}.saving-"


def _make_locked(folder: Path) -> tuple[Path, int]:
    """A new hidden sibling and the descriptor that holds its lock.

    Another process may take the fresh folder for a leftover before the lock is held; then the
    path is gone, and a new one is made.
    """
    while True:
        partial = folder.parent / f"{_prefix(folder)}{uuid.uuid4().hex[:12]}"
        partial.mkdir()
        try:
            lock = _lock(partial)
        except FileNotFoundError:
            continue
        if lock is not None and partial.exists():
            return partial, lock
        if lock is not None:
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock; None when another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed saves of the same target left; those still at work hold their lock."""
    for leftover in folder.parent.iterdir():
        if not leftover.name.startswith(_prefix(folder)):
            continue
        try:
            lock = _lock(leftover)
        except FileNotFoundError:
            continue  # its own save has just finished
        if lock is not None:
            shutil.rmtree(leftover, ignore_errors=True)
            os.close(lock)


def _seal(partial: Path) -> dict[str, FileEntry]:
    """Sync and hash every file; relative POSIX path -> entry, sorted."""
    if is_checkpoint(partial):
        raise CheckpointError(
            f"{MANIFEST} was written with the other files; it is the manifest's own name"
        )
    # A card that came along with a copied folder is about another checkpoint.
    (partial / CARD).unlink(missing_ok=True)
    files = {}
    for path in sorted(partial.rglob("*")):
        if path.is_symlink():
            raise CheckpointError(
                f"{path.name}: a checkpoint holds files, not links; write a copy of its target"
            )
        sync(path)
        if path.is_file():
            name = path.relative_to(partial).as_posix()
            files[name] = FileEntry(sha256=hash_file(path), bytes=path.stat().st_size)
    return files


def _write_manifest(partial: Path, manifest: Manifest) -> None:
    unfinished = partial / f".{MANIFEST}"
    text = json.dumps(manifest.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    unfinished.write_text(text + "\n", encoding="utf-8")
    sync(unfinished)
    unfinished.rename(partial / MANIFEST)
    sync(partial)


def put_in_place(partial: Path, folder: Path) -> None:
    """Rename into place. An old checkpoint goes first, under a name that counts as a leftover."""
    if folder.exists() and any(folder.iterdir()):
        old = folder.parent / f"{_prefix(folder)}old-{uuid.uuid4().hex[:12]}"
        folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        partial.rename(folder)
    sync(folder.parent)


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn a full disk or a forbidden folder, however a back end reports it, into StorageError."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        number = _errno(error)
        if number not in _STORAGE_ERRNOS:
            raise
        at = f" at {error.filename}" if isinstance(error, OSError) and error.filename else ""
        raise StorageError(
            f"{folder}: can't save the checkpoint ({os.strerror(number)}{at}); nothing was left "
            "behind. Make room or choose another folder, then run again"
        ) from error


def _errno(error: BaseException) -> int:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    match = _OS_ERROR.search(str(error))
    if match:
        return int(match[1])
    return errno.ENOSPC if "No space left on device" in str(error) else 0


def _version() -> str:
    try:
        return importlib.metadata.version("gradus-lm")
    except importlib.metadata.PackageNotFoundError:
        return "uninstalled"
