"""One execution of a plan: order, states, reuse, resume."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gradus import cards, hardware
from gradus.data.facts import measurements as data_measurements
from gradus.errors import GradusError, Interrupted, UsageError, unknown
from gradus.plan import dump
from gradus.records import Answer, Plan, RunRecord, State, StepRecord, StepSpec
from gradus.runner import held
from gradus.runner.auditing import audited
from gradus.runner.gating import Gating, judge_data
from gradus.runner.inputs import Inputs, refuse_changed_data
from gradus.runner.keys import referenced
from gradus.runner.looking import counted
from gradus.runner.monitor import Quiet, Reporter
from gradus.runner.step import StepRun, now
from gradus.runner.store import RunFolder, storage

HELD_UP = (State.WAITING, State.PENDING)
"""Of the steps before the one under way: who waits for people, and who waits for those."""


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
        `state` is then closed. So is a step that waits for people: what doesn't depend on it is
        done, `state` is waiting, and the same call goes on when they have answered.

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
        self.inputs = Inputs(self.plan, self.folder, self.reporter)
        self.gating = Gating(self.inputs)
        facts, corpora = self.inputs.data_facts(), self.inputs.corpus_facts()
        refuse_changed_data(earlier, {**facts, **corpora})
        self.inputs.check()
        held.guard(self.inputs, self.reporter)
        self._keep_plan()
        self.began = time.perf_counter()
        self.record = RunRecord(
            run=str(self.folder.path),
            plan=self.plan.name,
            about=self.plan.about,
            state=State.RUNNING,
            seed=self.plan.seed,
            started=now(),
            environment=hardware.describe(),
            data=facts,
            corpora=corpora,
        )
        self.records = {
            spec.id: StepRecord(id=spec.id, step=spec.kind, state=State.PENDING)
            for spec in self.plan.steps
        }
        self.reporter.begin(self.plan.name, self.folder.path, len(self.plan.steps))
        self._save()
        try:
            state = State.CLOSED if self._data_gates() else self._steps()
            self._cards()  # how often test was read may have changed for all
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
        readings, looks = counted(self.inputs)
        self.record = replace(
            self.record,
            state=state or self.record.state,
            steps=tuple(self.records.values()),
            seconds=time.perf_counter() - self.began,
            models={name: ref.to_json() for name, ref in self.inputs.weights.items()},
            readings=readings,
            looks=looks,
        )
        self.folder.save(self.record)

    def _finish(self, state: State) -> RunRecord:
        self.record = replace(self.record, finished=now())
        self._save(state)
        self.reporter.end(self.record)
        return self.record

    def _cards(self, steps: Sequence[str] | None = None) -> None:
        """Write the cards of the checkpoints that these steps made or measured."""
        for card in cards.write_run(self.folder.path, self.record, steps):
            self.reporter.note(
                f"{card.relative_to(self.folder.path)} was changed by hand and stays as it is; "
                "'gradus card --force' writes it anew"
            )

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
        state = State.DONE
        for index, spec in enumerate(self.plan.steps):
            self.reporter.step(spec, index, len(self.plan.steps))
            behind = self._behind(spec)
            done = self._later(spec, behind) if behind else self._one(spec)
            self.records[spec.id] = done
            self._save()
            self._cards([spec.id])
            self.reporter.finished(done)
            if done.state is State.CLOSED:
                self._skip_rest()
                return State.CLOSED
            if done.state in HELD_UP:
                state = State.WAITING
            if spec.id == self.until and index + 1 < len(self.plan.steps):
                return State.PENDING if state is State.DONE else state
        return state

    def _behind(self, spec: StepSpec) -> list[str]:
        """The steps before this one that it needs and that aren't done, since somebody waits."""
        compared = [name for name in referenced(spec, self.inputs) if name not in spec.models]
        needed = dict.fromkeys(name.partition(".")[0] for name in (*spec.models, *compared))
        return [name for name in needed if name in self.records and self._held_up(name, spec)]

    def _held_up(self, name: str, spec: StepSpec) -> bool:
        return name != spec.id and self.records[name].state in HELD_UP

    def _later(self, spec: StepSpec, behind: Sequence[str]) -> StepRecord:
        """The record of a step that comes when those before it are done."""
        self.reporter.note(f"comes when {' and '.join(behind)} can go on")
        self.gating.wait(spec)
        return replace(self.records[spec.id], parents=spec.models)

    def _one(self, spec: StepSpec) -> StepRecord:
        record = replace(self.records[spec.id], state=State.RUNNING, started=now())
        self.records[spec.id] = record
        self._save()
        try:
            with storage(self.folder.path):
                return StepRun(
                    spec, record, self.inputs, self.gating, self.reporter, self.record.environment
                ).go()
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


__all__ = ["run"]
