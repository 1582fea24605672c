"""A student's training from beginning to end, and that of the same student without a teacher."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gradus.checkpoints import save_checkpoint, seen_items
from gradus.checkpoints.hashing import hash_json
from gradus.objectives.base import Prepared
from gradus.steps.base import Monitor, StepContext, StepOutcome, Target
from gradus.training.distil.task import DistilTask
from gradus.training.exchange import PartDone, current
from gradus.training.loop import Trained, train
from gradus.training.storage import write_whole

if TYPE_CHECKING:
    from gradus.steps.distil import DistilConfig

FINISHED = "finished.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A student that is ready to learn.

    Attributes:
        prepared: its task, with its teachers.
        alone: makes the same without teachers.
        preparations: of texts, for the checkpoint's preprocessing.
        identity: what a resumed state must agree with.
        facts: JSON for the report.
        notes: sentences for the report.
        told: further facts that the trained student tells.
    """

    prepared: Prepared
    alone: Callable[[], Prepared]
    identity: Mapping[str, str]
    preparations: Mapping[str, Any]
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    told: Callable[[], Mapping[str, Any]] = dict


def run(config: DistilConfig, context: StepContext) -> StepOutcome:
    """Train the student, and where it is asked for the same alone; save them.

    Raises:
        TrainingError: student, teachers and data don't fit each other.
        CheckpointError: one can't be read.
    """
    torch.set_num_threads(context.threads)
    dtype = context.dtype if config.dtype == "auto" else config.dtype
    if config.corpus is not None:
        from gradus.training.distil.language import ready_language

        made = ready_language(config, context, dtype)
    else:
        from gradus.training.distil.of_labels import ready_labels

        made = ready_labels(config, context, dtype)
    curves = Curves(context.monitor, context.work / "student")
    trained = _both(made, curves, config, context, dtype)
    return _outcome(made, trained, config, context, dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Both:
    student: Trained
    alone: Trained | None = None
    without: Prepared | None = None


def _both(
    made: Ready, curves: Curves, config: DistilConfig, context: StepContext, dtype: str
) -> _Both:
    """Train both. A follower's part ends with the second, where there is one."""

    def trained(prepared: Prepared, monitor: Monitor, place: str, taught: bool) -> Trained:
        work = context.work / place
        work.mkdir(exist_ok=True)
        return train(
            prepared.task,
            config.staged(),
            seed=context.seed,
            work=work,
            monitor=monitor,
            dtype=dtype,
            identity={**made.identity, "taught": str(taught)},
        )

    left: PartDone | None = None
    student: Trained | None = None
    try:
        student = trained(made.prepared, curves, "student", True)
        if current().leads:
            curves.finish()
    except PartDone as done:
        left = done
    task = made.prepared.task
    if isinstance(task, DistilTask):
        task.release()
    if config.alone:
        without = made.alone()
        alone = trained(without, Apart(curves, len(config.stages)), "alone", False)
        assert student is not None, "who is done with the first training leaves in the second"
        return _Both(student=student, alone=alone, without=without)
    if left is not None:
        raise left
    assert student is not None, "a follower has left"
    return _Both(student=student)


def _outcome(
    made: Ready, trained: _Both, config: DistilConfig, context: StepContext, dtype: str
) -> StepOutcome:
    """Save what was trained, and say what came of it."""
    shared = {**made.facts, "dtype": dtype}
    facts = {**shared, **made.told(), "stages": [dict(s) for s in trained.student.stages]}
    extras: dict[str, Path] = {}
    cost = dict(trained.student.cost)
    if trained.alone is not None and trained.without is not None:
        extras["alone"] = context.out / "alone"
        without = {"stages": [dict(s) for s in trained.alone.stages], "dtype": dtype}
        _save(trained.without, made, context, extras["alone"], without)
        facts["alone"] = without
        cost["alone_seconds"] = trained.alone.cost["train_seconds"]
    checkpoint = context.out / "checkpoint"
    settled, digest = _save(made.prepared, made, context, checkpoint, facts)
    names = [context.id, *(f"{context.id}.{name}" for name in extras)]
    return StepOutcome(
        checkpoint=checkpoint,
        extras=extras,
        # Unlabelled texts may be another data set's; nothing is measured on that one.
        measure=[Target(checkpoint=name, data=config.data) for name in names]
        if config.unlabelled and config.data
        else None,
        notes=made.notes,
        facts={**facts, **settled, "digest": digest},
        cost=cost,
    )


def _save(
    prepared: Prepared, made: Ready, context: StepContext, folder: Path, facts: Mapping[str, Any]
) -> tuple[Mapping[str, Any], str]:
    """Save a checkpoint; what its task settled, and its digest."""
    settled = prepared.settle()
    items = [item for data in context.datasets.values() for item in data.train.ids]
    saved = save_checkpoint(
        folder,
        kind=prepared.kind,
        labels=prepared.labels,
        preprocessing={**prepared.preprocessing, **settled, **made.preparations},
        parents=tuple(context.models.values()),
        facts={**facts, **seen_items(items)},
        write=prepared.save,
    )
    return settled, saved.digest


class Curves:
    """The monitor of the first of two trainings, whose rows stay once it is finished.

    Each training cuts the curves back to where its own state is; the first, asked again when the
    second was interrupted, must leave the second's rows alone.

    Attributes:
        rows: written by this training.
    """

    def __init__(self, monitor: Monitor, work: Path) -> None:
        """`work` is the training's folder; it may not be there yet."""
        self.monitor, self._place = monitor, work / FINISHED
        self._over = self._place.is_file()
        self.rows = int(json.loads(self._place.read_text("utf-8"))["rows"]) if self._over else 0

    def finish(self) -> None:
        """The training is over: its rows stand."""
        if self._over:
            return
        write_whole(self._place, self._write)

    def _write(self, path: Path) -> None:
        path.write_text(json.dumps({"rows": self.rows}), encoding="utf-8")

    def score(self, outputs: Any) -> dict[str, float]:
        """As the step's own."""
        return self.monitor.score(outputs)

    def point(self, **row: float | int | str) -> None:
        """As the step's own."""
        self.rows += 1
        self.monitor.point(**row)

    def rewind(self, rows: int) -> None:
        """As the step's own, until the training is over."""
        if not self._over:
            self.rows = rows
            self.monitor.rewind(rows)

    def progress(self, done: float, total: float, text: str = "") -> None:
        """As the step's own."""
        self.monitor.progress(done, total, text)

    def note(self, text: str) -> None:
        """As the step's own."""
        self.monitor.note(text)


class Apart(Curves):
    """The monitor of the second training: its rows stand behind the first's, its stages are told
    apart from the first's `stages`."""

    def __init__(self, first: Curves, stages: int) -> None:
        self.monitor, self._before, self._stages = first.monitor, first.rows, stages
        self._over = False
        self.rows = 0

    def point(self, **row: float | int | str) -> None:
        """With another stage number, and said to be alone."""
        stage, what = int(row.pop("stage")) + self._stages, f"alone: {row.pop('train')}"
        self.monitor.point(stage=stage, train=what, **row)

    def rewind(self, rows: int) -> None:
        """Behind the first's rows."""
        self.monitor.rewind(self._before + rows)

    def progress(self, done: float, total: float, text: str = "") -> None:
        """Said to be alone."""
        self.monitor.progress(done, total, f"alone, {text}")


def identity_of(config: DistilConfig, context: StepContext, **more: str) -> dict[str, str]:
    """What a resumed training must agree with, beside what the loop knows itself."""
    said = config.model_dump(mode="json", exclude={"stages", "alone"})
    models = {name: ref.digest for name, ref in context.models.items()}
    return {"config": hash_json(said), "models": hash_json(models), **more}
