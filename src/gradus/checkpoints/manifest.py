"""The manifest of a checkpoint: ``gradus.json``, without which the checkpoint doesn't exist."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final, Self

from gradus.checkpoints.hashing import content_digest, hash_file, list_files
from gradus.errors import CheckpointError
from gradus.records import CheckpointRef, Record

MANIFEST: Final = "gradus.json"
CARD: Final = "README.md"
"""The model card: what is known of a checkpoint, for people. It changes when more is measured."""
FORMAT_VERSION: Final = 1
_COMPANION: Final = re.compile(r"README\.md|(?:LICENSE|NOTICE)(?:-[A-Za-z0-9_.-]+)?")
_WEIGHTS_OF_A_SOURCE: Final = (
    "config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry(Record):
    """SHA-256 (hex) and size in bytes of one file of a checkpoint."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor(Record):
    """One checkpoint or source that a checkpoint descends from.

    `generation` is 1 for a parent, 2 for its parents, and so on; `parents` are the digests of
    the ancestor's own parents, so that the whole tree can be drawn; `facts` are those of the step
    that made it (empty for a source).
    """

    name: str
    kind: str
    digest: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    generation: int = 1
    parents: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Rebuild the ancestor from plain JSON."""
        return cls(**{**raw, "parents": tuple(raw.get("parents", ()))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Record):
    """What ``gradus.json`` says.

    Attributes:
        format_version: version of this layout.
        kind: which predictor loads it (section ``kinds`` of the catalog).
        labels: label names in the order of the outputs.
        preprocessing: what the predictor does to a text before the weights see it.
        lineage: ancestors, nearest first and oldest last, as far back as it goes.
        files: relative POSIX path -> hash and size, of every file but the manifest.
        digest: SHA-256 over kind, labels, preprocessing and file hashes (hex).
        gradus: version of Gradus that wrote it.
        created: when, ISO 8601 in UTC; not part of the digest.
        facts: what the step that made it says about itself.
    """

    format_version: int
    kind: str
    labels: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    lineage: tuple[Ancestor, ...]
    files: Mapping[str, FileEntry]
    digest: str
    gradus: str
    created: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files, the manifest aside."""
        return sum(entry.bytes for entry in self.files.values())

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Rebuild the manifest from plain JSON; unknown keys are an error."""
        return cls(
            **{
                **raw,
                "labels": tuple(raw["labels"]),
                "lineage": tuple(Ancestor.from_json(a) for a in raw["lineage"]),
                "files": {k: FileEntry.from_json(v) for k, v in raw["files"].items()},
            }
        )


def is_checkpoint(folder: Path) -> bool:
    """Whether the folder has a manifest."""
    return (folder / MANIFEST).is_file()


def is_companion(name: str) -> bool:
    """Whether a file beside the manifest is about the checkpoint and no part of it.

    The model card and licence texts join a folder after its content was hashed, and the card
    changes whenever more is measured; no back end reads them.

    >>> is_companion("README.md"), is_companion("LICENSE-encoder"), is_companion("model.onnx")
    (True, True, False)
    """
    return _COMPANION.fullmatch(name) is not None


def find_manifest(folder: Path) -> Manifest | None:
    """The manifest of a checkpoint; None where the folder holds weights of another origin.

    Raises:
        CheckpointError: there is a manifest that can't be read, see `read_manifest`.
    """
    return read_manifest(folder) if is_checkpoint(folder) else None


def read_manifest(folder: Path) -> Manifest:
    """Read ``gradus.json`` and check that its own digest fits what it says.

    File contents aren't read; that is `verify`.

    Raises:
        CheckpointError: no manifest, broken JSON, missing fields, an unknown format version, a
            digest that doesn't fit; the message says which and what to do.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    try:
        raw = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(_no_manifest(folder)) from error
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read ({error.strerror})") from error
    except ValueError as error:
        raise CheckpointError(
            f"{path}: not valid JSON ({error}); copy the checkpoint again from where it came"
        ) from error
    manifest = _parse(path, raw)
    files = {name: entry.sha256 for name, entry in manifest.files.items()}
    expected = content_digest(
        kind=manifest.kind,
        labels=manifest.labels,
        preprocessing=manifest.preprocessing,
        files=files,
    )
    if manifest.digest != expected:
        raise CheckpointError(
            f"{path}: the manifest was changed after it was written (its digest doesn't fit kind, "
            "labels, preprocessing and file hashes); copy the checkpoint again or make it anew"
        )
    return manifest


def _parse(path: Path, raw: Any) -> Manifest:
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if version is None:
        raise CheckpointError(f"{path}: not a manifest of Gradus (no field 'format_version')")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format version {version!r} is unknown, this Gradus reads version "
            f"{FORMAT_VERSION}; it was written by Gradus {raw.get('gradus', '?')}: install that "
            "version or a newer one"
        )
    try:
        manifest = Manifest.from_json(raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: a field is missing, unknown or wrong ({error})") from error
    for name in manifest.files:
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts:
            raise CheckpointError(f"{path}: the file name '{name}' leads out of the checkpoint")
    return manifest


def _no_manifest(folder: Path) -> str:
    if not folder.exists():
        return f"{folder}: there is no such checkpoint folder"
    if not folder.is_dir():
        if folder.suffix == ".gguf":
            return (
                f"{folder}: a GGUF file is weights of a source, not a classifier; name it under "
                "'models:' in a plan, and a step makes a checkpoint of it"
            )
        return f"{folder}: a checkpoint is a folder with a {MANIFEST}, this is a file"
    if any((folder / name).exists() for name in _WEIGHTS_OF_A_SOURCE):
        return (
            f"{folder}: weights of a source, not a classifier (Hugging Face files but no "
            f"{MANIFEST}); name the folder under 'models:' in a plan, and a step such as finetune "
            "makes a checkpoint of it"
        )
    return (
        f"{folder}: not a checkpoint, it has no {MANIFEST}; if a run was killed while it saved, "
        "run its plan again"
    )


def verify(folder: Path) -> Manifest:
    """Hash every file and compare with the manifest, which is returned.

    A model card and licence texts (`is_companion`) may stand there without being in the manifest.

    Raises:
        CheckpointError: names every file that is missing, has another size, has other content or
            stands in the folder without being in the manifest.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    faults = [
        f"{name}: {fault}"
        for name, entry in manifest.files.items()
        if (fault := _fault(folder / name, entry))
    ]
    known = {*manifest.files, MANIFEST}
    faults += [
        f"{name}: not in the manifest"
        for name in list_files(folder)
        if name not in known and not is_companion(name)
    ]
    if faults:
        raise CheckpointError(
            f"{folder}: the checkpoint was changed after it was written; "
            + "; ".join(faults)
            + ". Copy it again from where it came or make it anew"
        )
    return manifest


def _fault(path: Path, entry: FileEntry) -> str | None:
    try:
        size = path.stat().st_size
        if size != entry.bytes:
            return f"{size:,} bytes instead of {entry.bytes:,}"
        if hash_file(path) != entry.sha256:
            return "the content differs from its SHA-256"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"can't be read ({error.strerror})"
    return None


def open_checkpoint(
    path: str | Path, name: str | None = None, origin: Mapping[str, Any] | None = None
) -> CheckpointRef:
    """A reference to the checkpoint in a folder; `name` defaults to the folder's.

    Raises:
        CheckpointError: as `read_manifest`.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    return CheckpointRef(
        name=name or folder.resolve().name,
        kind=manifest.kind,
        path=str(folder),
        digest=manifest.digest,
        origin=dict(origin) if origin is not None else {"folder": str(folder)},
        labels=manifest.labels,
        file=manifest.preprocessing.get("file") if manifest.kind == "gguf" else None,
    )
