"""SHA-256 of weights, remembered so that unchanged files aren't hashed at every run.

Large files have one small entry each in ``$XDG_CACHE_HOME/gradus/digests`` (default
``~/.cache``), keyed by path, size and times: a file written since is hashed anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gradus.errors import SourceError

_WORTH_REMEMBERING = 1_000_000  # bytes; below, hashing costs less than a look-up
_DIGEST = re.compile(r"[0-9a-f]{64}")


def digest_files(folder: Path, names: Sequence[str]) -> str:
    """SHA-256 (hex) over the names, relative to `folder`, and the contents of files.

    Raises:
        SourceError: a file can't be read.
    """
    return hashlib.sha256(
        json.dumps({name: digest_file(folder / name) for name in sorted(names)}).encode()
    ).hexdigest()


def digest_path(path: Path) -> str:
    """SHA-256 (hex) of a file, or over all files of a folder.

    Raises:
        SourceError: a file can't be read.
    """
    if path.is_file():
        return digest_file(path)
    names = [p.relative_to(path).as_posix() for p in sorted(path.rglob("*")) if p.is_file()]
    return digest_files(path, names)


def digest_file(path: Path) -> str:
    """SHA-256 (hex) of one file, from the cache where the file hasn't been written since.

    Raises:
        SourceError: the file can't be read.
    """
    try:
        entry = _entry(path)
        if entry is None:
            return _hash(path)
        known = _recall(entry)
        if known:
            return known
        digest = _hash(path)
        if _entry(path) == entry:  # not written to while it was hashed
            _remember(entry, digest)
        return digest
    except OSError as error:
        raise SourceError(f"{path}: can't be read ({error.strerror})") from error


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _entry(path: Path) -> Path | None:
    """The cache entry of a file in its present state; None for a small one."""
    path = path.resolve()
    stat = path.stat()
    if stat.st_size < _WORTH_REMEMBERING:
        return None
    # The change time is the kernel's own: unlike the modification time no program sets it back.
    state = f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}"
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    name = hashlib.sha256(os.fsencode(state)).hexdigest()
    return Path(base).expanduser() / "gradus" / "digests" / name


def _recall(entry: Path) -> str | None:
    try:
        text = entry.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return None  # no entry, or no cache: the file is hashed
    return text if _DIGEST.fullmatch(text) else None


def _remember(entry: Path, digest: str) -> None:
    """Write the entry, whole or not at all; without a writable cache the next run hashes again."""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=entry.parent, delete=False) as partial:
            partial.write(digest)
        Path(partial.name).replace(entry)
    except OSError:
        return
