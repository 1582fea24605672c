"""Where a checkpoint comes from, as far back as it goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gradus.checkpoints.manifest import Ancestor, Manifest, is_checkpoint, read_manifest
from gradus.records import CheckpointRef


def lineage_of(parents: Sequence[CheckpointRef]) -> tuple[Ancestor, ...]:
    """The ancestors of a checkpoint made from `parents`, nearest first and oldest last.

    A parent with a manifest brings its own ancestors along; a source has none. An ancestor that
    is reached on two ways stands once, at its nearest generation.

    Raises:
        CheckpointError: a parent's manifest can't be read.
    """
    found: list[Ancestor] = []
    for parent in parents:
        manifest = _manifest(parent)
        found.append(
            Ancestor(
                name=parent.name,
                kind=parent.kind,
                digest=parent.digest,
                origin=dict(parent.origin),
                facts=dict(manifest.facts) if manifest else {},
                generation=1,
                parents=parents_of(manifest) if manifest else (),
            )
        )
        for older in manifest.lineage if manifest else ():
            raw = {**older.to_json(), "generation": older.generation + 1}
            found.append(Ancestor.from_json(raw))
    found.sort(key=lambda ancestor: ancestor.generation)
    nearest: dict[tuple[str, str], Ancestor] = {}
    for ancestor in found:
        nearest.setdefault((ancestor.name, ancestor.digest), ancestor)
    return tuple(nearest.values())


def parents_of(manifest: Manifest) -> tuple[str, ...]:
    """The digests of a checkpoint's parents."""
    return tuple(a.digest for a in manifest.lineage if a.generation == 1)


def _manifest(ref: CheckpointRef) -> Manifest | None:
    folder = Path(ref.path)
    return read_manifest(folder) if is_checkpoint(folder) else None
