"""SHA-256 of files, folders and plain values: what fingerprints and digests are made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex; reads in pieces, so memory stays constant.

    Raises:
        OSError: the file can't be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: keys sorted, no spaces, no NaN.

    >>> canonical_json({"b": 1, "a": [True, "é"]})
    '{"a":[true,"é"],"b":1}'

    Raises:
        TypeError: the value holds something that JSON has no form for.
        ValueError: it holds NaN or an infinity.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def hash_json(value: Any) -> str:
    """SHA-256 of `canonical_json`, in hex: equal for equal values whatever their key order.

    >>> hash_json({"a": 1, "b": 2}) == hash_json({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def list_files(folder: Path) -> Iterator[str]:
    """Relative POSIX paths of the regular files below `folder`, sorted; hidden ones left out.

    Hidden means that a part of the path begins with a dot: file managers and version control
    leave such files, and no back end reads them.
    """
    found = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    yield from sorted(
        path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts)
    )


def hash_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Relative path -> SHA-256 of each named file below `folder`."""
    return {name: hash_file(folder / name) for name in names}


def hash_folder(folder: Path) -> str:
    """SHA-256 over the names and contents of a folder's files, in hex."""
    return hash_json(hash_files(folder, list_files(folder)))


def content_digest(
    *, kind: str, labels: Iterable[str], preprocessing: Mapping[str, Any], files: Mapping[str, str]
) -> str:
    """What makes two checkpoints equal: kind, labels in order, preprocessing, file hashes.

    `files` maps a relative path to its SHA-256. Times, names and lineage have no part in it.
    """
    return hash_json(
        {
            "kind": kind,
            "labels": list(labels),
            "preprocessing": dict(preprocessing),
            "files": dict(files),
        }
    )
