"""One step of one execution: fingerprint, reuse or run, measure, judge."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gradus import hardware, registry
from gradus.records import Answer, CheckpointRef, State, StepRecord, StepSpec, Verdict, Waiting
from gradus.runner import corpora, fingerprint, held, looking, optimism, parity, ranks, writing
from gradus.runner.context import step_context
from gradus.runner.gating import Gating, stops
from gradus.runner.inner import inner_facts
from gradus.runner.inputs import Inputs, Seeds
from gradus.runner.measuring import Measured, measure
from gradus.runner.monitor import Reporter
from gradus.runner.outcome import outcome_json, set_threads
from gradus.runner.seeds import Made, median, merged, select_value
from gradus.runner.store import read_json, write_json
from gradus.steps.base import Asking, Step, Target
from gradus.writing.prompts import digest


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class StepRun:
    """One step of one execution, done once or, with `StepSpec.seeds`, several times."""

    def __init__(
        self,
        spec: StepSpec,
        record: StepRecord,
        inputs: Inputs,
        gating: Gating,
        reporter: Reporter,
        environment: Mapping[str, Any],
    ) -> None:
        self.spec, self.record = spec, record
        self.inputs, self.gating, self.reporter = inputs, gating, reporter
        self.environment = environment
        self.step: Step = registry.load("steps", spec.kind)()
        self.config = self.step.Config.model_validate(dict(spec.config))
        self.dtype = hardware.training_dtype()

    def go(self) -> StepRecord:
        """Run the step, or find it done, and return its record; it may be one that waits."""
        spec, inputs = self.spec, self.inputs
        models = {name: inputs.checkpoint(name) for name in spec.models}
        made = list[Made]()
        for repeat in range(spec.seeds):
            one = self._made(repeat, models)
            if isinstance(one, Waiting):
                return self._waits(one)
            made.append(one)
        chosen, selected = self._known(made)
        outcome = merged(made, chosen)
        for name, path in outcome["extras"].items():
            inputs.add(f"{spec.id}.{name}", made[chosen].place / path)
        targets = self._targets(outcome)
        looking.count_measured(spec, targets, inputs, self.reporter)
        measured = measure(
            spec,
            targets,
            self.step.produces(self.config),
            self._home(made),
            inputs,
            self.reporter,
        )
        measured, holdout = held.veiled(measured, inputs)
        if holdout:
            outcome = {**outcome, "facts": {**outcome["facts"], "holdout": holdout}}
        return self._record(made, chosen, selected, outcome, measured)

    def _waits(self, waiting: Waiting) -> StepRecord:
        """The record of a step that waits; tests that come later may not claim past its own."""
        self.gating.wait(self.spec)
        return replace(
            self.record,
            state=State.WAITING,
            waiting=waiting,
            parents=self.spec.models,
            finished=now(),
        )

    def _made(self, repeat: int, models: Mapping[str, CheckpointRef]) -> Made | Waiting:
        """The step done with one seed, now or by an earlier run, or whom it waits for."""
        spec, inputs = self.spec, self.inputs
        data = inputs.dataset(spec.data[0]) if spec.data else None
        read = {name: inputs.corpus(name) for name in spec.corpora}
        asked = inputs.prompts(spec)
        seed = fingerprint.step_seed(inputs.plan.seed, spec.id, repeat)
        mark = fingerprint.of_step(
            spec,
            seed=seed,
            models=models,
            data=data,
            dtype=self.dtype,
            corpora=read,
            others={name: inputs.dataset(name) for name in spec.data[1:]},
            answers=self.step.answers(
                self.config,
                Asking(id=spec.id, seed=seed, models=models, run=inputs.folder.path),
            ),
            prompts=digest(asked) if asked else "",
            level=float(inputs.plan.measure["level"]) if self.step.tests else None,
            timing=fingerprint.timing(inputs.plan.measure)
            if self.step.times(self.config)
            else None,
        )
        place = inputs.folder.step(spec.id, mark)
        outcome_file = place / "outcome.json"
        reused = outcome_file.exists()
        if not reused:
            if spec.seeds > 1:
                self.reporter.note(f"{spec.id}: seed {repeat + 1} of {spec.seeds}")
            waiting = self._run(place, seed, models, outcome_file)
            if waiting is not None:
                return waiting
        elif (place / "work").exists():
            shutil.rmtree(place / "work")  # killed between the outcome and the clearing up
        return Made(place, mark, read_json(outcome_file), reused)

    def _known(self, made: Sequence[Made]) -> tuple[int, dict[str, Any]]:
        """Make the checkpoints known; which one the id stands for, and how it was chosen."""
        spec, inputs = self.spec, self.inputs
        paths = [one.checkpoint for one in made]
        if len(made) == 1 or any(path is None for path in paths):
            if paths[0] is not None:
                inputs.add(spec.id, paths[0])
            return 0, {}
        names = tuple(f"{spec.id}.seed{number}" for number in range(1, len(made) + 1))
        for name, path in zip(names, paths, strict=True):
            assert path is not None  # said above
            inputs.add(name, path)
        metric = ""
        values: list[float | None] = [None] * len(made)
        if spec.data:
            found = [
                select_value(name, one.place, spec.data[0], inputs)
                for name, one in zip(names, made, strict=True)
            ]
            metric, values = found[0][0], [value for _, value in found]
        chosen = median(values, metric)
        inputs.add(spec.id, made[chosen].checkpoint or Path())
        inputs.seeds[spec.id] = Seeds(names, tuple(one.place for one in made), chosen)
        return chosen, {"chosen": chosen + 1, "metric": metric, "select": values}

    def _home(self, made: Sequence[Made]) -> Path:
        """Where the step's measurements are kept: beside its checkpoint, or for all seeds apart."""
        if len(made) == 1:
            return made[0].place
        return self.inputs.folder.step(self.spec.id, self._mark(made))

    def _mark(self, made: Sequence[Made]) -> str:
        marks = [one.mark for one in made]
        return marks[0] if len(marks) == 1 else fingerprint.digest(marks)

    def _run(
        self, place: Path, seed: int, models: Mapping[str, CheckpointRef], outcome_file: Path
    ) -> Waiting | None:
        self.inputs.release()
        context, monitor = step_context(
            self.spec,
            self.inputs,
            place=place,
            seed=seed,
            models=models,
            dtype=self.dtype,
            reporter=self.reporter,
        )
        monitor.looked = looking.counts_chosen(self.spec, self.inputs, self.reporter)
        resumed = any(context.work.iterdir())
        if resumed:
            self.reporter.note(f"{self.spec.id}: going on where it was interrupted")
        elif monitor.curves.exists():
            monitor.rewind(0)
        set_threads()
        hardware.reset_peak_memory()
        start = time.perf_counter()
        outcome = ranks.run(self.step, self.config, context, self.spec, self.inputs)
        seconds = time.perf_counter() - start
        if outcome.waiting is None:
            looking.count_chosen(self.spec, place.name, monitor, self.inputs, self.reporter)
            kept = outcome_json(outcome, place, monitor, seconds, resumed)
            kept["facts"] = {**kept["facts"], **inner_facts(context)}
            write_json(outcome_file, kept)
        shutil.rmtree(context.work)
        return outcome.waiting

    def _targets(self, outcome: Mapping[str, Any]) -> list[Target]:
        if outcome["measure"] is not None:
            return [Target(**raw) for raw in outcome["measure"]]
        if outcome["checkpoint"] is None:
            return []
        on_writings = writing.targets(self.spec, self.inputs)
        if on_writings:
            return on_writings
        sample = self.inputs.plan.measure.get("dev_sample")
        names = [self.spec.id, *(f"{self.spec.id}.{extra}" for extra in outcome["extras"])]
        pairs = [(n, data) for n in names for data in dict.fromkeys(self.spec.data)]
        for corpus in dict.fromkeys(self.spec.corpora):
            pairs += [(n, corpus) for n in names if corpora.obstacle(n, self.inputs) is None]
        return [Target(checkpoint=n, data=data, sample=sample) for n, data in pairs]

    def _record(
        self,
        made: Sequence[Made],
        chosen: int,
        selected: Mapping[str, Any],
        outcome: Mapping[str, Any],
        measured: Measured,
    ) -> StepRecord:
        spec, folder, gating = self.spec, self.inputs.folder, self.gating
        place = made[chosen].place
        earlier = list(gating.measured)
        verdicts = parity.verdicts(spec, outcome["facts"])
        verdicts += gating.judge(spec, measured, outcome.get("withheld", {}))
        changes = gating.changes(spec, earlier) if measured.measurements else []
        state = State.REUSED if all(one.reused for one in made) else State.DONE
        if stops(spec, verdicts):
            state = State.CLOSED
        facts = self._facts(made, chosen, selected, outcome, measured)
        checkpoint = made[chosen].checkpoint
        return replace(
            self.record,
            state=state,
            checkpoint=None if checkpoint is None else folder.relative(checkpoint),
            checkpoints=self._extras(made, chosen, outcome),
            seconds=outcome["seconds"] + measured.seconds,
            fingerprint=self._mark(made),
            measurements=measured.measurements,
            gates=tuple(verdicts),
            parents=spec.models,
            folder=folder.relative(place),
            curves=folder.relative(place / "curves.jsonl")
            if (place / "curves.jsonl").exists()
            else None,
            cost={
                **_cost_facts(outcome, self.dtype, self.environment),
                "measure_seconds": measured.seconds,
            },
            notes=(
                *outcome["notes"],
                *_early(spec),
                *_repeated(spec, made, selected),
                *_undecided(spec, verdicts),
            ),
            facts={**facts, "changes": changes},
            finished=now(),
        )

    def _facts(
        self,
        made: Sequence[Made],
        chosen: int,
        selected: Mapping[str, Any],
        outcome: Mapping[str, Any],
        measured: Measured,
    ) -> dict[str, Any]:
        """What the step says of itself, and what its measurements say beside their values."""
        spec, facts = self.spec, dict(outcome["facts"])
        chose = outcome.get("scored") and spec.data and made[chosen].checkpoint is not None
        if chose and measured.measurements:
            facts["optimism"] = optimism.rows(
                spec.id, spec.data[0], self._home(made), measured.measurements, self.inputs
            )
        if measured.slices:
            facts["slices"] = list(measured.slices)
        if measured.benchmarks:
            facts["benchmarks"] = list(measured.benchmarks)
            facts["benchmark_changes"] = self.gating.benchmark_changes(spec)
        if measured.written:
            facts["written"] = dict(measured.written)
        if selected or measured.seeds:
            facts["seeds"] = {**selected, "measured": list(measured.seeds)}
        return facts

    def _extras(
        self, made: Sequence[Made], chosen: int, outcome: Mapping[str, Any]
    ) -> dict[str, str]:
        """Further checkpoints by name, those of all seeds among them."""
        folder, place = self.inputs.folder, made[chosen].place
        found = {n: folder.relative(place / p) for n, p in outcome["extras"].items()}
        for number, one in enumerate(made, start=1):
            if len(made) > 1 and one.checkpoint is not None:
                found[f"seed{number}"] = folder.relative(one.checkpoint)
        return found


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


def _early(spec: StepSpec) -> list[str]:
    """Why test was read before the plan's last steps."""
    said = spec.early_test
    return [f"test was read before the plan's last step, since the plan says: {said}"] * bool(said)


def _repeated(spec: StepSpec, made: Sequence[Made], selected: Mapping[str, Any]) -> list[str]:
    """What a reader should know of a step that was repeated."""
    if not selected:
        return []
    why = f"its {selected['metric']} on dev.select is the median" if selected["metric"] else ""
    found = [
        f"repeated with {spec.seeds} seeds; '{spec.id}' stands for seed {selected['chosen']} "
        f"where a later step takes a checkpoint{': ' if why else ''}{why}"
    ]
    reused = sum(one.reused for one in made)
    if 0 < reused < len(made):
        found.append(f"{reused} of {len(made)} seeds were done by an earlier run")
    return found


def _undecided(spec: StepSpec, verdicts: list[Verdict]) -> list[str]:
    return [
        f"the gate '{v.gate}' is undecided on {v.n} items"
        + (f"; about {v.n_needed:,} would decide" if v.n_needed else "")
        for v in verdicts
        if v.verdict is Answer.UNDECIDED and spec.on_undecided == "warn"
    ]
