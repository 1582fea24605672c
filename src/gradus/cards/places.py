"""Which checkpoint of a run stands in a folder, and by which names the run's records know it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gradus.checkpoints import Manifest, find_manifest
from gradus.errors import CheckpointError, DataError
from gradus.records import RunRecord, StepRecord

RECORD = "run.json"


@dataclass(frozen=True, slots=True)
class Place:
    """What a run knows a checkpoint as.

    Attributes:
        name: a step's id, ``id.extra`` or ``id.seedN``, or the name of a model of the plan.
        step: the step that made it; None for a model of the plan.
        seed: where the step was repeated, which of its seeds this is, from 1; what is measured
            under the step's id is then over all of them.
    """

    name: str
    step: StepRecord | None = None
    seed: int | None = None

    def is_called(self, name: str) -> bool:
        """Whether a measurement under that name is of this checkpoint, or of all seeds of it."""
        if name == self.name:
            return True
        return self.seed is not None and self.step is not None and name == self.step.id


def read_record(run: Path) -> RunRecord | None:
    """The record in a run folder; None where there is none.

    Raises:
        DataError: it is damaged.
    """
    path = run / RECORD
    try:
        return RunRecord.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not readable as the record of a run ({error})", file=path) from error


def run_of(checkpoint: Path) -> Path | None:
    """The run folder that a checkpoint stands in; None where it stands in none."""
    for folder in checkpoint.resolve().parents:
        if (folder / RECORD).is_file() and (folder / "steps").is_dir():
            return folder
    return None


def made_by(step: StepRecord) -> Iterator[tuple[str, str]]:
    """Name and place, relative to the run folder, of every checkpoint that a step left."""
    if step.checkpoint is not None:
        yield step.id, step.checkpoint
    for name, path in step.checkpoints.items():
        yield f"{step.id}.{name}", path


def find(run: Path, record: RunRecord, checkpoint: Path, manifest: Manifest) -> Place | None:
    """What the run knows the checkpoint as: by its place, else by its content; None if it doesn't.

    A copy that was taken out of the run is found by its digest, and so is a checkpoint from
    elsewhere that the plan names as a model.
    """
    here = checkpoint.resolve()
    every = [(step, *pair) for step in record.steps for pair in made_by(step)]
    found = [(s, name) for s, name, path in every if (run / path).resolve() == here]
    if not found:
        found = [(s, n) for s, n, path in every if _digest(run / path) == manifest.digest]
    if found:
        step = found[0][0]
        return _place(step, [name for s, name in found if s is step])
    for name, model in record.models.items():
        if model.get("digest") == manifest.digest:
            return Place(name)
    return None


def _place(step: StepRecord, names: list[str]) -> Place:
    """The place of a checkpoint that a step knows by one or two names."""
    seeds = [n.removeprefix(f"{step.id}.seed") for n in names if n.startswith(f"{step.id}.seed")]
    numbers = [int(number) for number in seeds if number.isdigit()]
    return Place(names[0], step, numbers[0] if numbers else None)


def _digest(folder: Path) -> str | None:
    try:
        manifest = find_manifest(folder)
    except CheckpointError:
        return None  # another checkpoint of the run, which isn't asked for
    return None if manifest is None else manifest.digest
