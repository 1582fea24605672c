"""Judging a step's gates and comparing it with the step before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradus import gates
from gradus.benchmarks.cost import CostBenchmark
from gradus.gates import Sequence as FixedSequence
from gradus.gates import Side, judge
from gradus.measure.changes import changes
from gradus.records import Answer, Measurement, StepSpec, Verdict
from gradus.runner.inputs import Inputs
from gradus.runner.measuring import Measured, predictions_of


@dataclass
class Gating:
    """Judges gates in plan order; remembers what each step measured."""

    inputs: Inputs
    measured: dict[str, Measured] = field(default_factory=dict)
    sequence: FixedSequence = field(default_factory=FixedSequence)

    def judge(self, spec: StepSpec, own: Measured) -> list[Verdict]:
        """The verdicts of a step's gates, in the order the plan gives them."""
        self.measured[spec.id] = own
        settings = self.inputs.plan.measure
        found = []
        for text in spec.gates:
            gate = gates.parse(text)
            mine = self._side(own.main, gate, own, own.of(own.main))
            other = None
            if gate.reference is not None:
                name = spec.models[0] if gate.reference == "parent" else gate.reference
                other = self._side(name, gate, own, self._theirs(name, mine, own))
            verdict = judge(
                gate,
                mine,
                other,
                level=float(settings["level"]),
                draws=int(settings["bootstrap"]),
                seed=self.inputs.plan.seed,
                claims=self.sequence.claims,
            )
            found.append(self.sequence.record(verdict))
        return found

    def _side(
        self, name: str, gate: gates.GateSpec, own: Measured, found: Sequence[Measurement]
    ) -> Side:
        if gate.prefix is not None:
            found = [m for m in found if gate.prefix in (m.data, m.benchmark.rpartition(".v")[0])]
        cost = gate.metric in CostBenchmark.metrics
        return Side(
            name=name,
            measurements=tuple(found),
            predictions=None if cost else predictions_of(found, self.inputs),
            observed=own.timings.get(name) if cost else None,
        )

    def _theirs(self, name: str, mine: Side, own: Measured) -> list[Measurement]:
        """The reference's measurements on the same split: from this step, else from its own."""
        here = own.of(name)
        if here:
            return here
        step = name.partition(".")[0]
        if step not in self.measured:
            return []
        places = {(m.data, m.split) for m in mine.measurements}
        return [m for m in self.measured[step].of(name) if (m.data, m.split) in places]

    def changes(self, spec: StepSpec, earlier: Sequence[str]) -> list[dict[str, Any]]:
        """The step's main metrics against those of its parent, or of the step before it.

        Each is the paired difference over the shared items with its two-sided interval.
        """
        own = self.measured[spec.id]
        candidates = [m for m in spec.models if m in self.measured] + list(reversed(earlier))
        for name in candidates:
            if name == spec.id:
                continue
            found = self._compare(own, name)
            if found:
                return found
        return []

    def _compare(self, own: Measured, name: str) -> list[dict[str, Any]]:
        mine = [m for m in own.of(own.main) if m.items is not None]
        places = {(m.data, m.split) for m in mine}
        theirs = [
            m
            for m in self.measured[name].of(self.measured[name].main)
            if m.items is not None and (m.data, m.split) in places
        ]
        left, right = predictions_of(mine, self.inputs), predictions_of(theirs, self.inputs)
        if left is None or right is None:
            return []
        settings = self.inputs.plan.measure
        return changes(
            left,
            right,
            against=name,
            level=float(settings["level"]),
            draws=int(settings["bootstrap"]),
            seed=self.inputs.plan.seed,
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
    """The verdicts of a data set's own gates; they compare with constants only."""
    side = Side(name=name, measurements=tuple(measured), predictions=None, observed=None)
    return [judge(gates.parse(text), side, None, level=float(settings["level"])) for text in texts]
