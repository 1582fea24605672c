"""What is found out of a model before anything is taken away; kept, so that a killed step that
goes on needn't look again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from gradus.checkpoints.hashing import hash_json
from gradus.compress.prune.counts import counted
from gradus.compress.prune.rounds import examined
from gradus.compress.prune.sensitivity import sensitivity
from gradus.compress.prune.subject import Subject
from gradus.steps.base import StepContext
from gradus.training.storage import write_whole

if TYPE_CHECKING:
    from gradus.steps.prune import PruneConfig

FILE: Final = "looked.json"


def looked(subject: Subject, config: PruneConfig, context: StepContext) -> dict[str, Any]:
    """``before``: counts and values on dev.select; ``sensitivity``: by layer, for each of what
    is pruned, where that was asked for."""
    path, identity = context.work / FILE, hash_json(dict(subject.identity))
    if path.is_file():
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if known.pop("identity") == identity:
            return known
    asked = config.sensitivity
    found: dict[str, Any] = {
        "before": {**counted(subject.task), **examined(subject.task, torch.float32)}
    }
    if asked.texts:
        context.monitor.progress(0, 1, "what each layer bears")
        found["sensitivity"] = [
            sensitivity(
                subject.task,
                what,
                config.method_of(what),
                texts=asked.texts,
                amounts=asked.amounts,
                pattern=config.pattern,
            )
            for what in config.parts
        ]
    _write(path, {**found, "identity": identity})
    return found


def _write(path: Path, content: dict[str, Any]) -> None:
    def write(partial: Path) -> None:
        partial.write_text(json.dumps(content), encoding="utf-8")

    write_whole(path, write)
