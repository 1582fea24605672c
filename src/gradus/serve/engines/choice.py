"""Which engine goes on with texts, by what lies at a place; no weights are read."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, Literal

from gradus.errors import GradusError
from gradus.records import CheckpointRef

# What the config of a model with a language-model head is named like.
_HEADS = ("ForCausalLM", "LMHeadModel")


def writes(checkpoint: str) -> Literal["torch", "llama.cpp"] | None:
    """What would go on with texts; None for what does anything else, or can't be found."""
    from gradus import sources

    try:
        ref = sources.locate_weights("model", sources.parse(checkpoint), Path.cwd())
    except GradusError:
        return None
    if ref.kind == "gguf":
        return "llama.cpp" if importlib.util.find_spec("xllamacpp") else "torch"
    folder = Path(ref.path)
    if ref.kind != "transformer" or not _goes_on(folder):
        return None
    return "torch"


def _goes_on(folder: Path) -> bool:
    """Whether a folder's model has a head for the next token, and wasn't tuned for another job."""
    from gradus.checkpoints import read_manifest
    from gradus.checkpoints.manifest import MANIFEST

    if (folder / MANIFEST).is_file():
        target = read_manifest(folder).preprocessing.get("target")
        if target not in ("text", "reply"):
            return False
    try:
        config: Any = json.loads((folder / "config.json").read_bytes())
        return any(str(one).endswith(_HEADS) for one in config.get("architectures") or ())
    except (OSError, ValueError, AttributeError):
        return False


def name_of(ref: CheckpointRef) -> str:
    """What a server calls a model: its package, its file, or its folder."""
    package = ref.origin.get("package")
    if package:
        return str(package)
    return Path(ref.file).stem if ref.file else Path(ref.path).resolve().name
