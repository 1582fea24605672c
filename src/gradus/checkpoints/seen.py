"""Which items a checkpoint was trained on: a sketch of their content hashes in its manifest.

Whoever tests a model must know whether it has seen what it is tested on. Content hashes are evenly
spread, so the least of them are a fair sample of all (bottom-k, Cohen and Kaplan 2007): it is kept
instead of them, of many items `SIZE`. Of other items those below the sample's greatest hash are
looked up in it. With up to `SIZE` items the answer is exact; a model of very many items may have
seen a few others without its being noticed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from gradus.checkpoints.manifest import find_manifest
from gradus.records import CheckpointRef

SEEN: Final = "seen_items"
SIZE: Final = 256
_DIGITS: Final = 16


def seen_items(ids: Iterable[str]) -> dict[str, Any]:
    """For a manifest's facts: that a checkpoint was trained on items with these content hashes;
    nothing without any."""
    least = sorted({item[:_DIGITS] for item in ids})
    return {SEEN: {"count": len(least), "least": least[:SIZE]}} if least else {}


def share_seen(ref: CheckpointRef, ids: Collection[str]) -> tuple[float, str]:
    """About which share of the items a checkpoint or one that it was made from has seen, and the
    name of the one that has seen most; 0.0 where nothing is known.

    Raises:
        CheckpointError: the manifest can't be read.
    """
    manifest = find_manifest(Path(ref.path))
    if manifest is None:
        return 0.0, ""
    known = [(ref.name, manifest.facts), *((one.name, one.facts) for one in manifest.lineage)]
    found = [(_share(facts[SEEN], ids), name) for name, facts in known if SEEN in facts]
    return max(found, key=lambda one: one[0], default=(0.0, ""))


def _share(kept: Mapping[str, Any], ids: Collection[str]) -> float:
    sample = set(kept["least"])
    items = {item[:_DIGITS] for item in ids}
    if kept["count"] > len(sample):
        items = {item for item in items if item <= max(kept["least"])}
    return len(items & sample) / len(items) if items else 0.0
