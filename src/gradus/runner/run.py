"""One execution of a plan: order, states, reuse, resume."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gradus import hardware, registry
from gradus.data.facts import measurements as data_measurements
from gradus.errors import GradusError, Interrupted, UsageError, unknown
from gradus.plan import dump
from gradus.records import Answer, Plan, RunRecord, State, StepRecord, StepSpec, Verdict
from gradus.runner import fingerprint
from gradus.runner.auditing import audited
from gradus.runner.gating import Gating, judge_data, stops
from gradus.runner.inputs import Inputs, refuse_changed_data
from gradus.runner.measuring import Measured, measure
from gradus.runner.monitor import Quiet, Reporter, RunMonitor
from gradus.runner.store import RunFolder, read_json, storage, write_json
from gradus.steps.base import Step, StepContext, StepOutcome, Target


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def run(
    plan: Plan,
    *,
    runs_dir: str | Path = "runs",
    until: str | None = None,
    fresh: bool = False,
    reporter: Reporter | None = None,
) -> RunRecord:
    """Execute a plan, or go on with it; steps whose fingerprint is unchanged are reused.

    Args:
        plan: a checked plan.
        runs_dir: the run's folder is ``runs_dir / plan.name``.
        until: the last step to execute; later ones stay pending.
        fresh: begin anew; the earlier folder is renamed, not removed.
        reporter: who watches; nobody by default.

    Returns:
        The run's record, also kept in ``run.json``. A closed gate is an outcome, not an error:
        `state` is then closed.

    Raises:
        UsageError: `until` isn't a step of the plan.
        RunBusy, DataChanged, SourceError, DataError, TrainingError, StorageError: see
            `gradus.errors`. The record on disk says which step failed.
        Interrupted, KeyboardInterrupt: the state is saved; the same call goes on.
    """
    ids = [spec.id for spec in plan.steps]
    if until is not None and until not in ids:
        raise UsageError(unknown("step", until, ids))
    folder = RunFolder(Path(runs_dir).resolve() / plan.name)
    if fresh and folder.record_path.exists():
        with folder.locked():
            folder.set_aside()
    with folder.locked(), storage(folder.path):
        return _Execution(plan, folder, reporter or Quiet(), until).execute()


@dataclass
class _Execution:
    plan: Plan
    folder: RunFolder
    reporter: Reporter
    until: str | None
    records: dict[str, StepRecord] = field(default_factory=dict)

    def execute(self) -> RunRecord:
        earlier = self.folder.load()
        self.inputs = Inputs(self.plan, self.folder)
        self.gating = Gating(self.inputs)
        facts = self.inputs.data_facts()
        refuse_changed_data(earlier, facts)
        self._keep_plan()
        self.began = time.perf_counter()
        self.record = RunRecord(
            run=str(self.folder.path),
            plan=self.plan.name,
            state=State.RUNNING,
            seed=self.plan.seed,
            started=now(),
            environment=hardware.describe(),
            data=facts,
        )
        self.records = {
            spec.id: StepRecord(id=spec.id, step=spec.kind, state=State.PENDING)
            for spec in self.plan.steps
        }
        self.reporter.begin(self.plan.name, self.folder.path, len(self.plan.steps))
        self._save()
        try:
            state = State.CLOSED if self._data_gates() else self._steps()
        except (KeyboardInterrupt, Interrupted):
            self._give_up(State.INTERRUPTED)
            raise
        except BaseException:
            self._give_up(State.FAILED)
            raise
        return self._finish(state)

    def _give_up(self, state: State) -> None:
        """Keep the record of what happened; that this fails too must not hide why."""
        try:
            self._finish(state)
        except (GradusError, OSError) as error:
            self.reporter.note(f"the record of the run could not be written either: {error}")

    def _keep_plan(self) -> None:
        (self.folder.path / "plan.resolved.yaml").write_text(dump(self.plan), encoding="utf-8")
        if self.plan.path is not None and Path(self.plan.path).exists():
            shutil.copyfile(self.plan.path, self.folder.path / "plan.yaml")

    def _save(self, state: State | None = None) -> None:
        self.record = replace(
            self.record,
            state=state or self.record.state,
            steps=tuple(self.records.values()),
            seconds=time.perf_counter() - self.began,
            models={name: ref.to_json() for name, ref in self.inputs.weights.items()},
            readings=self._readings(),
        )
        self.folder.save(self.record)

    def _readings(self) -> dict[str, int]:
        from gradus import ledger

        return {
            name: ledger.count(data.split_digests["test"])
            for name, data in self.inputs.datasets.items()
            if "test" in data.split_digests
        }

    def _finish(self, state: State) -> RunRecord:
        self.record = replace(self.record, finished=now())
        self._save(state)
        self.reporter.end(self.record)
        return self.record

    def _data_gates(self) -> bool:
        """Judge the gates of the data; True when one ends the run before its first step."""
        closed = False
        data = dict(self.record.data)
        for name, config in self.plan.data.items():
            dataset = self.inputs.dataset(name)
            found = (
                audited(dataset, self.folder, self.reporter) if config.get("audit", True) else None
            )
            measured = [*data_measurements(dataset), *(found.measurements if found else ())]
            verdicts = judge_data(config.get("gates", ()), name, measured, self.plan.measure)
            data[name] = {
                **data[name],
                "measurements": [m.to_json() for m in measured],
                "gates": [v.to_json() for v in verdicts],
                **({"audit": found.to_json()} if found else {}),
            }
            closed = closed or any(v.verdict is Answer.CLOSED for v in verdicts)
        self.record = replace(self.record, data=data)
        if closed:
            self._skip_rest()
        return closed

    def _skip_rest(self) -> None:
        for step_id, record in self.records.items():
            if record.state is State.PENDING:
                self.records[step_id] = replace(record, state=State.SKIPPED)

    def _steps(self) -> State:
        for index, spec in enumerate(self.plan.steps):
            self.reporter.step(spec, index, len(self.plan.steps))
            done = self._one(spec)
            self.records[spec.id] = done
            self._save()
            self.reporter.finished(done)
            if done.state is State.CLOSED:
                self._skip_rest()
                return State.CLOSED
            if spec.id == self.until and index + 1 < len(self.plan.steps):
                return State.PENDING
        return State.DONE

    def _one(self, spec: StepSpec) -> StepRecord:
        record = replace(self.records[spec.id], state=State.RUNNING, started=now())
        self.records[spec.id] = record
        self._save()
        try:
            with storage(self.folder.path):
                return StepRun(self, spec, record).go()
        except (KeyboardInterrupt, Interrupted):
            self.records[spec.id] = replace(record, state=State.INTERRUPTED, finished=now())
            raise
        except BaseException as error:
            text = (
                str(error) if isinstance(error, GradusError) else f"{type(error).__name__}: {error}"
            )
            failed = replace(record, state=State.FAILED, error=text, finished=now())
            self.records[spec.id] = failed
            self.reporter.finished(failed)
            raise


class StepRun:
    """One step of one execution: fingerprint, reuse or run, measure, judge."""

    def __init__(self, execution: _Execution, spec: StepSpec, record: StepRecord) -> None:
        self.execution, self.spec, self.record = execution, spec, record
        self.inputs, self.reporter = execution.inputs, execution.reporter
        self.step: Step = registry.load("steps", spec.kind)()
        self.config = self.step.Config.model_validate(dict(spec.config))
        self.seed = fingerprint.step_seed(execution.plan.seed, spec.id)
        self.dtype = hardware.training_dtype()

    def go(self) -> StepRecord:
        """Run the step, or find it done, and return its record."""
        spec, inputs = self.spec, self.inputs
        models = {name: inputs.checkpoint(name) for name in spec.models}
        data = inputs.dataset(spec.data[0]) if spec.data else None
        mark = fingerprint.of_step(spec, seed=self.seed, models=models, data=data, dtype=self.dtype)
        place = inputs.folder.step(spec.id, mark)
        outcome_file = place / "outcome.json"
        reused = outcome_file.exists()
        if not reused:
            self._run(place, models, outcome_file)
        elif (place / "work").exists():
            shutil.rmtree(place / "work")  # killed between the outcome and the clearing up
        outcome = read_json(outcome_file)
        if outcome["checkpoint"] is not None:
            inputs.add(spec.id, place / outcome["checkpoint"])
        for name, path in outcome["extras"].items():
            inputs.add(f"{spec.id}.{name}", place / path)
        measured = measure(
            spec,
            self._targets(outcome),
            self.step.produces(self.config),
            place,
            inputs,
            self.reporter,
        )
        return self._record(place, mark, outcome, measured, reused)

    def _run(self, place: Path, models: Mapping[str, Any], outcome_file: Path) -> None:
        work, curves = place / "work", place / "curves.jsonl"
        work.mkdir(parents=True, exist_ok=True)
        self.inputs.release()
        data = self.inputs.dataset(self.spec.data[0]).for_training() if self.spec.data else None
        monitor = RunMonitor(curves, data, self.reporter)
        resumed = any(work.iterdir())
        if resumed:
            self.reporter.note(f"{self.spec.id}: going on where it was interrupted")
        elif curves.exists():
            monitor.rewind(0)
        _set_threads()
        hardware.reset_peak_memory()
        start = time.perf_counter()
        outcome = self.step.run(
            self.config,
            StepContext(
                id=self.spec.id,
                seed=self.seed,
                out=place,
                work=work,
                models=models,
                data=data,
                monitor=monitor,
                dtype=self.dtype,
                threads=hardware.threads(),
            ),
        )
        seconds = time.perf_counter() - start
        write_json(outcome_file, _outcome_json(outcome, place, monitor, seconds, resumed))
        shutil.rmtree(work)

    def _targets(self, outcome: Mapping[str, Any]) -> list[Target]:
        if outcome["measure"] is not None:
            return [Target(**raw) for raw in outcome["measure"]]
        if not self.spec.data or outcome["checkpoint"] is None:
            return []
        sample = self.execution.plan.measure.get("dev_sample")
        names = [self.spec.id, *(f"{self.spec.id}.{extra}" for extra in outcome["extras"])]
        return [Target(checkpoint=n, data=self.spec.data[0], sample=sample) for n in names]

    def _record(
        self,
        place: Path,
        mark: str,
        outcome: Mapping[str, Any],
        measured: Measured,
        reused: bool,
    ) -> StepRecord:
        spec, folder, gating = self.spec, self.inputs.folder, self.execution.gating
        earlier = list(gating.measured)
        verdicts = gating.judge(spec, measured)
        changes = gating.changes(spec, earlier) if measured.measurements else []
        state = State.REUSED if reused else State.DONE
        if stops(spec, verdicts):
            state = State.CLOSED
        checkpoint = outcome["checkpoint"]
        return replace(
            self.record,
            state=state,
            checkpoint=None if checkpoint is None else folder.relative(place / checkpoint),
            checkpoints={n: folder.relative(place / p) for n, p in outcome["extras"].items()},
            seconds=outcome["seconds"] + measured.seconds,
            fingerprint=mark,
            measurements=measured.measurements,
            gates=tuple(verdicts),
            parents=spec.models,
            folder=folder.relative(place),
            curves=folder.relative(place / "curves.jsonl")
            if (place / "curves.jsonl").exists()
            else None,
            cost={
                **_cost_facts(outcome, self.dtype, self.execution.record.environment),
                "measure_seconds": measured.seconds,
            },
            notes=(*outcome["notes"], *_undecided(spec, verdicts)),
            facts={**outcome["facts"], "changes": changes},
            finished=now(),
        )


def _outcome_json(
    outcome: StepOutcome, place: Path, monitor: RunMonitor, seconds: float, resumed: bool
) -> dict[str, Any]:
    def inside(path: Path) -> str:
        return path.resolve().relative_to(place.resolve()).as_posix()

    notes = list(dict.fromkeys([*monitor.notes, *outcome.notes]))
    return {
        "checkpoint": None if outcome.checkpoint is None else inside(outcome.checkpoint),
        "extras": {name: inside(path) for name, path in outcome.extras.items()},
        "measure": None
        if outcome.measure is None
        else [
            {"checkpoint": t.checkpoint, "data": t.data, "split": t.split, "sample": t.sample}
            for t in outcome.measure
        ],
        "notes": notes,
        "facts": dict(outcome.facts),
        "cost": {
            **outcome.cost,
            "seconds": seconds,
            "resumed": resumed,
            "peak_memory_mb": hardware.peak_memory_mb(),
        },
        "seconds": seconds,
    }


def _cost_facts(
    outcome: Mapping[str, Any], dtype: str, environment: Mapping[str, Any]
) -> dict[str, Any]:
    cost = dict(outcome["cost"])
    seconds, flops = cost.get("train_seconds") or cost.get("seconds"), cost.get("flops")
    if flops and seconds:
        share = hardware.ceiling_share(flops / seconds, cost.get("dtype", dtype), environment)
        if share is not None:
            cost["ceiling_share"] = share
    return cost


def _undecided(spec: StepSpec, verdicts: list[Verdict]) -> list[str]:
    return [
        f"the gate '{v.gate}' is undecided on {v.n} items"
        + (f"; about {v.n_needed:,} would decide" if v.n_needed else "")
        for v in verdicts
        if v.verdict is Answer.UNDECIDED and spec.on_undecided == "warn"
    ]


def _set_threads() -> None:
    import torch

    torch.set_num_threads(hardware.threads())


__all__ = ["run"]
