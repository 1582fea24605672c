"""What a checkpoint says of itself: the data it was tuned on, and how many layers it has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from gradus.checkpoints import is_checkpoint
from gradus.errors import UsageError
from gradus.records import RunRecord
from gradus.runner.store import RunFolder

RESOLVED: Final = "plan.resolved.yaml"
_PLACES: Final = ("file", "folder")
_LAYERS: Final = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")


@dataclass(frozen=True, slots=True)
class Origin:
    """A data set as the checkpoint's run had it, its paths absolute, and that run's seed."""

    data: str
    config: Mapping[str, Any]
    seed: int


def origin(checkpoint: Path) -> Origin | None:
    """Where a checkpoint in a run folder comes from; None where it lies in none.

    The splits follow from data and seed, so that they are those by which it was tuned.

    Raises:
        UsageError: the run's step names no data set.
    """
    for folder in checkpoint.resolve().parents:
        if (folder / RESOLVED).is_file() and (folder / "run.json").is_file():
            return _of_run(checkpoint.resolve(), folder)
    return None


def _of_run(checkpoint: Path, folder: Path) -> Origin:
    record = RunFolder(folder).load()
    assert record is not None  # its file is there
    plan = yaml.safe_load((folder / RESOLVED).read_text(encoding="utf-8"))
    made = _maker(checkpoint, folder, record)
    steps = {step["id"]: step for step in plan["steps"]}
    name = None if made is None else _data_of(made, steps)
    if name is None or name not in plan.get("data", {}):
        raise UsageError(
            f"{checkpoint}: the step that made it names no data set: say with --data on what it "
            "shall be measured"
        )
    paths = record.data[name]["path"]
    config = dict(plan["data"][name])
    source = config["source"]
    if set(paths) == {"all"}:
        config["source"] = _at(source, str(paths["all"]))
    else:
        config["source"] = {split: _at(source[split], str(paths[split])) for split in paths}
    # What the run had judged of the data needs no second judgement.
    return Origin(name, {**config, "gates": [], "audit": False}, int(plan.get("seed", 0)))


def _maker(checkpoint: Path, folder: Path, record: RunRecord) -> str | None:
    for step in record.steps:
        for place in (step.checkpoint, *step.checkpoints.values()):
            if place is not None and (folder / place).resolve() == checkpoint:
                return step.id
    return None


def _data_of(step: str, steps: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The data set that a step names, or the step that it begins with."""
    seen: set[str] = set()
    while step in steps and step not in seen:
        seen.add(step)
        if steps[step].get("data") is not None:
            return str(steps[step]["data"])
        step = str(steps[step].get("model"))
    return None


def _at(source: Mapping[str, Any], path: str) -> dict[str, Any]:
    return {key: path if key in _PLACES else value for key, value in source.items()}


def layers(checkpoint: Path) -> int | None:
    """How many layers a transformer has, from its ``config.json``; None where it doesn't say."""
    path = checkpoint / "config.json"
    if not is_checkpoint(checkpoint) or not path.is_file():
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None  # opening the checkpoint tells what is wrong with it
    found = [raw[key] for key in _LAYERS if isinstance(raw.get(key), int)]
    return found[0] if found else None
