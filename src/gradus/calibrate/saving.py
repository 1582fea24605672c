"""A checkpoint with the files of another and its own post-processing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradus.checkpoints import read_manifest, save_checkpoint
from gradus.predict.postprocess import KEY, Postprocess
from gradus.records import CheckpointRef


def save_postprocessed(
    folder: Path, parent: CheckpointRef, post: Postprocess, facts: Mapping[str, Any]
) -> CheckpointRef:
    """Save the parent's files under a manifest with `post`, in place of what it had of it.

    Files are hard-linked where the file system allows it, so that nothing takes space twice.
    """
    source = Path(parent.path)
    manifest = read_manifest(source)
    kept = {k: v for k, v in manifest.preprocessing.items() if k != KEY}

    def write(target: Path) -> None:
        for name in manifest.files:
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source / name, place)
            except OSError:
                shutil.copyfile(source / name, place)

    return save_checkpoint(
        folder,
        kind=manifest.kind,
        labels=manifest.labels,
        preprocessing={**kept, **post.preprocessing()},
        parents=(parent,),
        facts=facts,
        write=write,
    )
