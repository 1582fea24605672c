"""The job itself: a plan that grows from dev.select, and one claim at its end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from gradus import gates
from gradus.compressing import choose, space
from gradus.compressing.base import FILE, ORIGINAL, Candidate, Frontier, Point, Wanted
from gradus.errors import (
    CheckpointError,
    ContractError,
    DataError,
    GradusError,
    MissingExtra,
    TrainingError,
    UsageError,
)
from gradus.plan import plan_from_dict
from gradus.records import Measurement, RunRecord, State, Verdict
from gradus.runner.monitor import Quiet, Reporter
from gradus.runner.run import run
from gradus.runner.store import RunFolder, write_json

SELECT: Final = "select"
CLAIM: Final = "claim"
ROUNDS: Final = 3
"""Distil, prune and quantise one after another; each round adds one of them."""
# What one combination can fail of without the others failing too.
OWN_FAULTS: Final = (
    CheckpointError,
    ContractError,
    DataError,
    MissingExtra,
    TrainingError,
    UsageError,
)


def compress(
    wanted: Wanted, *, runs_dir: str | Path = "runs", reporter: Reporter | None = None
) -> tuple[Frontier, RunRecord]:
    """Try the combinations, choose on dev.select, test the claim; kept in the run folder.

    Called again after an interruption, it goes on: steps and measurements that are there are
    reused.

    Raises:
        UsageError: the budget isn't one (`budget`), or dev.select is empty.
        GradusError: whatever a run raises that isn't one combination's own fault.
    """
    job = _Job(wanted, Path(runs_dir), reporter or Quiet())
    found = job.search()
    ordered = choose.order(found, wanted.budget, wanted.target)
    record, verdicts = job.claim([p.name for p in ordered])
    tested = [replace(p, verdict=v) for p, v in zip(ordered, verdicts, strict=True)]
    winner = choose.recommended(tested)
    by_name = {p.name: p for p in tested}
    first = next(m for m in record.step(SELECT).measurements if m.metric == wanted.budget.measured)
    frontier = Frontier(
        budget=wanted.budget.text,
        target=wanted.target,
        metric=first.metric,
        unit=first.unit,
        direction=first.direction,
        data=wanted.data,
        claim=wanted.claim,
        points=tuple(by_name.get(p.name, p) for p in found),
        refused=job.refused,
        recommended=None if winner is None else winner.name,
        checkpoint=None if winner is None else record.step(winner.name).checkpoint,
    )
    _keep(Path(record.run), frontier)
    return frontier, record


def budget(text: str) -> gates.GateSpec:
    """The budget as a gate against ``parent``.

    Raises:
        UsageError: it can't be read, or isn't non-inferiority to the parent in a quality metric.
    """
    from gradus.benchmarks.cost import CostBenchmark

    gate = gates.parse(text)
    if gate.reference != "parent" or gate.metric in CostBenchmark.metrics or gate.prefix:
        raise UsageError(
            f"budget '{text}': say how much quality may be lost against the parent, as in "
            "'accuracy >= parent - 0.01'; what shall become small is the target's to say"
        )
    return gate


@dataclass
class _Job:
    wanted: Wanted
    runs_dir: Path
    reporter: Reporter
    made: list[Candidate] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def search(self) -> list[Point]:
        """Every candidate on dev.select, round by round."""
        new = space.first(self.wanted)
        found: list[Point] = []
        for _ in range(ROUNDS):
            if not new:
                break
            self.made += new
            record = self._run([self._evaluation(SELECT, "dev.select", self._names())])
            found = self._points(record)
            kept = choose.best(found, self.wanted.target, len(found))
            new = [
                c for c in space.further(self.made, kept, self.wanted) if c.name not in self.refused
            ]
        if not found:
            raise UsageError("nothing to try: allow quantize, prune or distil")
        return found

    def _points(self, record: RunRecord) -> list[Point]:
        hows = {ORIGINAL: "as it is"} | {c.name: c.how for c in self.made}
        measured = record.step(SELECT).measurements
        wanted = self.wanted.budget.measured
        if not any(m.metric == wanted for m in measured):
            known = sorted({m.metric for m in measured if "[" not in m.metric})
            raise UsageError(
                f"budget '{self.wanted.budget.text}': {wanted} isn't measured on "
                f"{self.wanted.data}; measured are {', '.join(known)}"
            )
        return choose.points(measured, hows, self.wanted.budget, self.wanted.target)

    def claim(self, names: Sequence[str]) -> tuple[RunRecord, list[Verdict]]:
        """The verdicts of the budget, of each of `names` in that order; one reading for all."""
        select = self._evaluation(SELECT, "dev.select", self._names())
        if not names:
            return self._run([select]), []
        last = self._evaluation(CLAIM, self.wanted.claim, [ORIGINAL, *names])
        record = self._run([select, last])
        measured = record.step(CLAIM).measurements
        gate = replace(self.wanted.budget, reference=ORIGINAL)
        sequence = gates.Sequence()
        other = side(ORIGINAL, gate, measured, record)
        return record, [
            sequence.record(
                gates.judge(
                    gate,
                    side(name, gate, measured, record),
                    other,
                    level=float(self.wanted.measure.get("level", 0.95)),
                    draws=int(self.wanted.measure.get("bootstrap", 2000)),
                    seed=self.wanted.seed,
                    claims=sequence.claims,
                )
            )
            for name in names
        ]

    def _names(self) -> list[str]:
        return [ORIGINAL, *(c.name for c in self.made)]

    def _evaluation(self, name: str, split: str, models: Sequence[str]) -> dict[str, Any]:
        on = f"{self.wanted.data}.{split}"
        return {"id": name, "step": "evaluate", "models": list(models), "on": on}

    def _plan(self, last: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        wanted = self.wanted
        return {
            "name": wanted.name,
            "seed": wanted.seed,
            "data": {wanted.data: dict(wanted.config)},
            "models": {ORIGINAL: dict(wanted.model)},
            **({"measure": dict(wanted.measure)} if wanted.measure else {}),
            "steps": [*(_ungated(c.step) for c in self.made), *(dict(step) for step in last)],
        }

    def _run(self, last: Sequence[Mapping[str, Any]]) -> RunRecord:
        """Run the plan; a combination that can't be made is left out with what is made of it."""
        while True:
            left = [self._without(step) for step in last]
            plan = plan_from_dict(self._plan(left), folder=self.wanted.folder)
            try:
                return run(plan, runs_dir=self.runs_dir, reporter=self.reporter)
            except OWN_FAULTS as error:
                failed = self._failed(plan.name)
                if failed is None:
                    raise
                self._refuse(failed, str(error))

    def _without(self, step: Mapping[str, Any]) -> dict[str, Any]:
        known = set(self._names())
        return {**step, "models": [name for name in step["models"] if name in known]}

    def _failed(self, name: str) -> str | None:
        """The candidate whose step failed in the last run, if it was one."""
        record = RunFolder(self.runs_dir.resolve() / name).load()
        failed = [] if record is None else [s.id for s in record.steps if s.state is State.FAILED]
        return next((c.name for c in self.made if c.name in failed), None)

    def _refuse(self, name: str, why: str) -> None:
        self.reporter.note(f"{name} is left out: {why}")
        self.refused[name] = why
        self.made = [c for c in self.made if c.name != name]
        for candidate in [c for c in self.made if c.start == name]:
            self._refuse(candidate.name, f"'{name}' could not be made")


def _ungated(step: Mapping[str, Any]) -> dict[str, Any]:
    """The step, its hand-offs only reported: what strays too far loses by its measurements."""
    from gradus import registry
    from gradus.parity.base import MEASURES
    from gradus.runner.parity import KEY

    kind = registry.load("steps", str(step["step"]))
    if KEY not in kind.Config.model_fields:
        return dict(step)
    return {**step, KEY: dict.fromkeys(MEASURES)}


def side(
    name: str, gate: gates.GateSpec, measured: Sequence[Measurement], record: RunRecord
) -> gates.Side:
    """A checkpoint as a gate sees it: its measurements among `measured`, and their items."""
    from gradus.metrics.items import read_seen

    found = gates.Side(name, [m for m in measured if m.checkpoint == name])
    asked = found.measurement(gate)
    if asked is None or asked.items is None:
        return found
    return replace(found, predictions=read_seen(Path(record.run) / asked.items)[0])


def _keep(folder: Path, frontier: Frontier) -> None:
    from gradus.report import write_report

    write_json(folder / FILE, frontier.to_json())
    write_report(folder)


def load(folder: Path) -> Frontier | None:
    """The frontier that a run folder keeps; None where there is none.

    Raises:
        GradusError: the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return Frontier.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError) as error:
        raise GradusError(
            f"{path}: not a frontier of this version of Gradus ({error}): run gradus compress again"
        ) from error
