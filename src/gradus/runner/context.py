"""What a step is handed, made by the leader of a run and by everyone who joins it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gradus import hardware
from gradus.records import CheckpointRef, StepSpec
from gradus.runner.inner import with_inner
from gradus.runner.inputs import Inputs
from gradus.runner.monitor import Quiet, Reporter, RunMonitor
from gradus.steps.base import StepContext


def step_context(
    spec: StepSpec,
    inputs: Inputs,
    *,
    place: Path,
    seed: int,
    models: Mapping[str, CheckpointRef],
    dtype: str,
    reporter: Reporter | None = None,
) -> tuple[StepContext, RunMonitor]:
    """The context of a step that works in the folder `place`, and its monitor."""
    work = place / "work"
    work.mkdir(parents=True, exist_ok=True)
    data = inputs.dataset(spec.data[0]).for_training() if spec.data else None
    monitor = RunMonitor(place / "curves.jsonl", data, reporter or Quiet())
    context = StepContext(
        id=spec.id,
        seed=seed,
        out=place,
        work=work,
        models=models,
        data=data,
        monitor=monitor,
        dtype=dtype,
        threads=hardware.threads(),
        datasets={name: inputs.dataset(name).for_training() for name in spec.data},
        corpora={name: inputs.corpus(name).for_training() for name in spec.corpora},
        folder=Path(inputs.plan.folder),
        run=inputs.folder.path,
        prompts=inputs.prompts(spec),
        level=float(inputs.plan.measure["level"]),
    )
    root = place.parent / "inner"
    return with_inner(context, inputs.plan.measure, root, reporter or Quiet()), monitor
