"""Judging a step's gates and comparing it with the step before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gradus import benchmarks, gates
from gradus.benchmarks.cost import CostBenchmark
from gradus.data.audit.names import GATED
from gradus.errors import ContractError
from gradus.gates import Sequence as FixedSequence
from gradus.gates import Side, judge
from gradus.gates.held import is_held, judge_held
from gradus.gates.sequence import without_claim
from gradus.gates.sides import check_contract
from gradus.measure.changes import changes
from gradus.measure.slices import rows
from gradus.metrics.repeated import Repeated, kept, one_of
from gradus.records import Answer, Measurement, StepSpec, Verdict
from gradus.runner import corpora
from gradus.runner.inputs import Inputs
from gradus.runner.measuring import Measured
from gradus.runner.observing import predictions_of, slice_of

CONTROL: Final = "alone"
"""The further checkpoint of a step that was trained without what the step is about."""


@dataclass
class Gating:
    """Judges gates in plan order; remembers what each step measured."""

    inputs: Inputs
    measured: dict[str, Measured] = field(default_factory=dict)
    sequence: FixedSequence = field(default_factory=FixedSequence)

    def judge(
        self, spec: StepSpec, own: Measured, withheld: Mapping[str, str] | None = None
    ) -> list[Verdict]:
        """The verdicts of a step's gates, in the order the plan gives them.

        `withheld` says by metric why no gate may rest on it, see `StepOutcome`.
        """
        self.measured[spec.id] = own
        found = []
        for text in spec.gates:
            gate = gates.parse(text, scores=self.inputs.scores.own)
            mine = self._side(own.main, gate, own, own.of(own.main))
            other, obstacle = None, None
            if gate.reference is not None:
                name = spec.models[0] if gate.reference == "parent" else gate.reference
                theirs = self._theirs(name, mine.measurement(gate), own)
                other = self._side(name, gate.theirs, own, theirs)
                if own.main == spec.id and name in spec.models:
                    other = self._taken(other)
                obstacle = None if theirs else self._obstacle(name, mine.measurement(gate))
            verdict = self._verdict(gate, mine, other)
            if obstacle is not None:
                verdict = replace(verdict, why=f"{verdict.why}; {obstacle}")
            rests = self.inputs.scores.bases.get(gate.metric, frozenset({gate.metric}))
            for metric in sorted(rests & set(withheld or ())):
                verdict = gates.withhold(verdict, (withheld or {})[metric])
            found.append(self.sequence.record(verdict))
        return found

    def _verdict(self, gate: gates.GateSpec, mine: Side, other: Side | None) -> Verdict:
        own = mine.measurement(gate)
        if own is not None and is_held(own):
            verdict = judge_held(gate, own, None if other is None else other.measurement(gate))
            return verdict if self.sequence.claims else without_claim(verdict)
        settings = self.inputs.plan.measure
        return judge(
            gate,
            mine,
            other,
            level=float(settings["level"]),
            draws=int(settings["bootstrap"]),
            seed=self.inputs.plan.seed,
            claims=self.sequence.claims,
            scores=self.inputs.scores,
        )

    def wait(self, spec: StepSpec) -> None:
        """Take no test of a step that isn't done: later ones may not claim anything before it."""
        for text in spec.gates:
            gate = gates.parse(text, scores=self.inputs.scores.own)
            if gate.surely or gate.reference is not None:
                self.sequence.wait(text)

    def _side(
        self, name: str, gate: gates.GateSpec, own: Measured, found: Sequence[Measurement]
    ) -> Side:
        """The checkpoint as the gate sees it, with the items of the measurement it asks for."""
        side = Side(name=name, measurements=tuple(found))
        if gate.metric in CostBenchmark.metrics:
            return replace(side, observed=own.timings.get(name))
        asked = side.measurement(gate)
        items = None if asked is None else predictions_of([asked], self.inputs)
        if items is not None and asked is not None and gate.slice is not None:
            if asked.data in self.inputs.plan.corpora:
                of = corpora.members(self.inputs.folder.path / str(asked.items))[gate.slice[0]]
                items = kept(items, rows(of, gate.slice[1]))
            else:
                items = slice_of(items, *gate.slice, asked, self.inputs)
        return replace(side, predictions=items)

    def _taken(self, side: Side) -> Side:
        """Of a repeated step that a step began with, the one checkpoint that it began with."""
        if not isinstance(side.predictions, Repeated):
            return side
        number = side.predictions.chosen + 1
        return replace(side, name=f"{side.name}.seed{number}", predictions=side.predictions.one)

    def _theirs(self, name: str, mine: Measurement | None, own: Measured) -> list[Measurement]:
        """The reference's measurements on the same split: from this step, else from its own."""

        def of(measured: Measured) -> list[Measurement]:
            found = measured.of(name)
            if mine is None:
                return found
            return [m for m in found if (m.data, m.split) == (mine.data, mine.split)]

        step = name.partition(".")[0]
        return of(own) or (of(self.measured[step]) if step in self.measured else [])

    def _obstacle(self, name: str, mine: Measurement | None) -> str | None:
        """Why a reference has no measurement beside `mine`."""
        if mine is None:
            return None
        if not mine.split:
            return f"'{name}' isn't measured on {mine.data} by this step: name it in 'models'"
        if mine.data in self.inputs.plan.corpora:
            found = corpora.obstacle(name, self.inputs)
        else:
            found = self.inputs.obstacle(name, mine.data)
        return found or f"'{name}' isn't measured on {mine.split}"

    def changes(self, spec: StepSpec, earlier: Sequence[str]) -> list[dict[str, Any]]:
        """The step's main metrics against those of its parent, or of the step before it; behind
        them those against the same training without what the step is about, if it has one.

        Each is the paired difference over the shared items with its two-sided interval.
        """
        own = self.measured[spec.id]
        control = f"{spec.id}.{CONTROL}"
        without = self._compare(own, control, taken=False) if own.of(control) else []
        return [*self._since(spec, own, earlier), *without]

    def _since(self, spec: StepSpec, own: Measured, earlier: Sequence[str]) -> list[dict[str, Any]]:
        """Changes against the first of parents and steps before that can be compared."""
        candidates = [m for m in spec.models if m in self.measured] + list(reversed(earlier))
        for name in candidates:
            if name == spec.id:
                continue
            found = self._compare(own, name, taken=own.main == spec.id and name in spec.models)
            if found:
                return found
        return []

    def _compare(self, own: Measured, name: str, *, taken: bool) -> list[dict[str, Any]]:
        """`taken` says that the step began with the checkpoint of that name."""
        mine = [m for m in own.of(own.main) if m.items is not None and m.split]
        places = {(m.data, m.split) for m in mine}
        theirs = [
            m for m in self._other(own, name) if m.items is not None and (m.data, m.split) in places
        ]
        shared = dict.fromkeys((m.data, m.split) for m in theirs)
        corpora_of = [place for place in shared if place[0] in self.inputs.plan.corpora]
        if corpora_of:
            return self._compare_on_corpora(own, name, corpora_of, taken=taken)
        left, right = predictions_of(mine, self.inputs), predictions_of(theirs, self.inputs)
        if left is None or right is None:
            return []
        if taken:
            right = one_of(right)
        settings = self.inputs.plan.measure
        return changes(
            left,
            right,
            against=name,
            level=float(settings["level"]),
            draws=int(settings["bootstrap"]),
            seed=self.inputs.plan.seed,
            scores=self.inputs.scores,
        )

    def _compare_on_corpora(
        self, own: Measured, name: str, places: Sequence[tuple[str, str]], *, taken: bool
    ) -> list[dict[str, Any]]:
        """The step's checkpoint against that of another on corpora; several are told by name."""
        found = []
        for data, split in places:
            mine, other = (
                {m.metric: m for m in of if (m.data, m.split) == (data, split)}
                for of in (own.of(own.main), self._other(own, name))
            )
            rows = self._differences(mine, other, name, taken=taken)
            found += rows if len(places) == 1 else [{"data": data, **row} for row in rows]
        return found

    def _other(self, own: Measured, name: str) -> list[Measurement]:
        """The measurements of another step's checkpoint, or of a further one of this step."""
        if name in self.measured:
            return self.measured[name].of(self.measured[name].main)
        return own.of(name)

    def benchmark_changes(self, spec: StepSpec) -> list[dict[str, Any]]:
        """On each benchmark the checkpoints against the one that they were made from.

        That is their parent where the step measures it too, else the first of the step's models.
        Metrics whose contracts differ (perplexity of a token under two tokenizers) are left out.
        """
        own = self.measured[spec.id]
        names = list(dict.fromkeys(m.checkpoint for m in own.measurements if not m.split))
        found = []
        for name in names:
            against = self._made_from(name, names)
            if against is None:
                continue
            for data in dict.fromkeys(m.data for m in own.of(name) if not m.split):
                found += self._compare_on(own, name, against, data)
        return found

    def _made_from(self, name: str, names: Sequence[str]) -> str | None:
        """Of the checkpoints measured, the one that `name` descends from, or the first."""
        steps = {step.id: step for step in self.inputs.plan.steps}
        ancestor: str | None = name.partition(".")[0]
        seen = set()
        while ancestor in steps and ancestor not in seen:
            seen.add(ancestor)
            ancestor = next(iter(steps[ancestor].models), None)
            if ancestor in names:
                return ancestor
        return names[0] if name != names[0] else None

    def _compare_on(
        self, own: Measured, name: str, against: str, data: str
    ) -> list[dict[str, Any]]:
        """The metrics that the benchmark compares, of one checkpoint against another."""
        mine, theirs = (
            {m.metric: m for m in own.of(one) if not m.split and m.data == data}
            for one in (name, against)
        )
        rows = self._differences(mine, theirs, against)
        return [{"checkpoint": name, "data": data, **row} for row in rows]

    def _differences(
        self,
        mine: Mapping[str, Measurement],
        theirs: Mapping[str, Measurement],
        against: str,
        *,
        taken: bool = False,
    ) -> list[dict[str, Any]]:
        """Of measurements by metric, what the benchmark compares and the contracts allow."""
        comparable = []
        for metric in mine:
            try:
                check_contract(mine[metric], theirs[metric])
            except (ContractError, KeyError):
                continue
            comparable.append(metric)
        left = predictions_of(list(mine.values()), self.inputs)
        right = predictions_of(list(theirs.values()), self.inputs)
        if left is None or right is None or not comparable:
            return []
        if taken:
            right = one_of(right)
        settings = self.inputs.plan.measure
        wanted = benchmarks.compared(mine[comparable[0]].benchmark)
        return changes(
            left,
            right,
            against=against,
            level=float(settings["level"]),
            draws=int(settings["bootstrap"]),
            seed=self.inputs.plan.seed,
            metrics=[metric for metric in wanted if metric in comparable],
        )


def stops(spec: StepSpec, verdicts: Sequence[Verdict]) -> bool:
    """Whether these verdicts end the run: a closed gate, or an undecided one where asked for."""
    return any(
        v.verdict is Answer.CLOSED
        or (v.verdict is Answer.UNDECIDED and spec.on_undecided == "stop")
        for v in verdicts
    )


def judge_data(
    texts: Sequence[str], name: str, measured: Sequence[Measurement], settings: Mapping[str, Any]
) -> list[Verdict]:
    """The verdicts of a data set's own gates; they compare with constants only.

    What is counted in the data is exact, so that "surely" asks nothing more of it; of
    `adversarial_auroc`, which is estimated, it asks that the end of the interval holds too.
    """
    found = []
    for text in texts:
        gate = gates.parse(text, metrics=GATED)
        known = measured
        if gate.surely and gate.metric == "adversarial_auroc":
            known = [_bound(m, gate) if m.metric == gate.metric else m for m in measured]
        side = Side(name=name, measurements=tuple(known))
        level = float(settings["level"])
        found.append(judge(replace(gate, surely=False), side, None, level=level))
    return found


def _bound(m: Measurement, gate: gates.GateSpec) -> Measurement:
    """The measurement with the end of its interval that is further from the gate's side."""
    return replace(m, value=m.ci_high if gate.op.startswith("<") else m.ci_low)
