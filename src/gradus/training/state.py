"""Where training stands: everything a killed process needs to go on with the same bits.

One file holds it all (tensors, and JSON in the file's header), so that a state is whole or
absent. The best weights of a stage, which change seldom, and snapshots of a long one lie in files
of their own that the state names; they are written before the state and removed after.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradus.errors import DataChanged
from gradus.training.storage import load_tensors, save_tensors

STATE = "state.safetensors"


@dataclass(slots=True)
class Watched:
    """What a stage of long training remembers beside its progress, all plain numbers.

    Attributes:
        validated: update after which the last validation was.
        validations: how many there were.
        total: updates of the stage, where they follow from a time.
        fixed: when `total` was told: update, seconds, total.
        losses: of the last updates, nats a term.
        norms: of their gradients.
        above: spikes in a row.
        spikes: step, what was done, loss and norm with what was usual.
        snapshots: file, step and tokens of each whole snapshot, oldest first.
        best: file, step, tokens, merit and values of the best validations, best first.
        narrowest: losses by text at the narrowest gap so far.
        warned: what the first warning of the gap said.
        validation_seconds: spent on evaluating.
        checkpoint_seconds: spent on saving.
        probe_seconds: spent on samples and benchmarks.
    """

    validated: int = 0
    validations: int = 0
    total: int | None = None
    fixed: list[list[float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    above: int = 0
    spikes: list[dict[str, Any]] = field(default_factory=list)
    snapshots: list[dict[str, Any]] = field(default_factory=list)
    best: list[dict[str, Any]] = field(default_factory=list)
    narrowest: dict[str, Any] | None = None
    warned: str | None = None
    validation_seconds: float = 0.0
    checkpoint_seconds: float = 0.0
    probe_seconds: float = 0.0

    @property
    def files(self) -> set[str]:
        """Names of the files that belong to it."""
        return {str(row["file"]) for row in (*self.snapshots, *self.best)}


@dataclass(slots=True)
class Progress:
    """Counters and sums, all plain numbers.

    Attributes:
        stage: index of the stage under way; the number of stages when training is done.
        epoch: epochs of the stage that are over.
        done: updates of the epoch under way.
        update: updates of the stage.
        rows: curve rows written.
        losses: summed loss and its weight since the epoch began.
        recent: the same since the last curve row.
        terms: by name, a term of the loss summed since the epoch began and since the last row.
        best: merit of the stage's best evaluation.
        best_file: where its weights lie.
        worse: evaluations since then.
        evaluation: the last evaluation's values.
        changed: names of all parameters that any stage has trained.
        seconds: by stage.
        tokens: trained on.
        flops: estimated floating-point operations.
        caches: names of the cache files that stages so far have used.
        stages: facts of the stages that are over.
        watched: of a stage of long training, the last one after its end; else as it began.
    """

    stage: int = 0
    epoch: int = 0
    done: int = 0
    update: int = 0
    rows: int = 0
    losses: list[float] = field(default_factory=lambda: [0.0, 0.0])
    recent: list[float] = field(default_factory=lambda: [0.0, 0.0])
    terms: dict[str, list[float]] = field(default_factory=dict)
    best: list[float] | None = None
    best_file: str | None = None
    worse: int = 0
    evaluation: dict[str, float] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    tokens: int = 0
    flops: float = 0.0
    caches: list[str] = field(default_factory=list)
    stages: list[dict[str, Any]] = field(default_factory=list)
    watched: Watched = field(default_factory=Watched)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Progress:
        """From what `facts` gave."""
        return cls(**{**facts, "watched": Watched(**facts.get("watched", {}))})

    def facts(self) -> dict[str, Any]:
        """All of it as JSON; what only long training has is left out where there is none."""
        found = dataclasses.asdict(self)
        if self.watched == Watched():
            del found["watched"]
        return found

    def begin_stage(self, index: int) -> None:
        """Counters of a fresh stage."""
        self.stage, self.epoch, self.done, self.update, self.worse = index, 0, 0, 0, 0
        self.best, self.best_file, self.evaluation = None, None, {}
        self.losses, self.recent, self.terms = [0.0, 0.0], [0.0, 0.0], {}
        while len(self.seconds) <= index:
            self.seconds.append(0.0)


def save_state(
    work: Path, identity: Mapping[str, str], progress: Progress, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Save progress, tensors and the state of every random generator, atomically."""
    facts = {
        "identity": dict(identity),
        "progress": progress.facts(),
        "random": _random_facts(),
    }
    save_tensors(work / STATE, {**tensors, **_random_tensors()}, facts)
    held = {progress.best_file, *progress.watched.files}
    for pattern in ("best-*.safetensors", "snapshot-*.safetensors"):
        for old in work.glob(pattern):
            if old.name not in held:
                old.unlink()


def load_state(
    work: Path, identity: Mapping[str, str]
) -> tuple[Progress, dict[str, torch.Tensor]] | None:
    """Progress and tensors of an unfinished training; random generators go on from there.

    None when there is none, or when it belongs to other settings.

    Raises:
        DataChanged: the data differ from what the training began with.
    """
    path = work / STATE
    if not path.exists():
        return None
    tensors, facts = load_tensors(path)
    before = facts["identity"]
    if before.get("data") != identity.get("data"):
        raise DataChanged(
            f"{path}: training began on data with digest {str(before.get('data'))[:12]} and they "
            f"now have {str(identity.get('data'))[:12]}: put the data back, or start afresh "
            "(gradus run --fresh)"
        )
    if before != dict(identity):
        return None
    _restore_random(facts["random"], tensors)
    return Progress.of(facts["progress"]), tensors


def _random_facts() -> dict[str, Any]:
    version, internal, gauss = random.getstate()
    name, _, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(internal), gauss],
        "numpy": [name, int(position), int(has_gauss), float(cached)],
    }


def _random_tensors() -> dict[str, torch.Tensor]:
    _, keys, *_ = np.random.get_state(legacy=True)
    return {
        "random/torch": torch.get_rng_state(),
        "random/numpy": torch.from_numpy(np.asarray(keys, dtype=np.int64)),
    }


def _restore_random(facts: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    version, internal, gauss = facts["python"]
    random.setstate((version, tuple(internal), gauss))
    name, position, has_gauss, cached = facts["numpy"]
    keys = tensors["random/numpy"].numpy().astype(np.uint32)
    np.random.set_state((name, keys, position, has_gauss, cached))
    torch.set_rng_state(tensors["random/torch"])
