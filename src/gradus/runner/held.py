"""dev.gate behind Thresholdout: what a plan with ``measure.reusable_holdout`` is shown of it.

Of each checkpoint that was measured on dev.gate only what some gate of the plan asks of it is
answered, through `gradus.holdout`; all else that was measured there is left out of the record, and
the same metrics on dev.select, which may be looked at freely, stand in its place.

Once a hold-out has been asked, nothing else may read that dev.gate: a plan without the setting is
refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from gradus import benchmarks, gates, looks, registry
from gradus.benchmarks.cost import CostBenchmark
from gradus.gates.held import METHOD
from gradus.holdout import Told, question, refuse_bare, standing
from gradus.measure import quality
from gradus.metrics.repeated import one_of
from gradus.records import Measurement
from gradus.runner.fingerprint import digest
from gradus.runner.inputs import Inputs
from gradus.runner.keys import settings as settings_of
from gradus.runner.measuring import Measured
from gradus.runner.monitor import Reporter
from gradus.runner.observing import predictions_of
from gradus.runner.store import read_json, write_json
from gradus.stats.thresholdout import Settings, each

if TYPE_CHECKING:
    from gradus.metrics.base import Items


GATE: Final = "dev.gate"


def guard(inputs: Inputs, reporter: Reporter) -> None:
    """Keep a hold-out from being looked at past its budget; said before any step begins.

    Raises:
        UsageError: this plan would look freely at a dev.gate that answers through a hold-out.
        StorageError: the state folder can't be read.
    """
    held = inputs.plan.measure.get("reusable_holdout") is not None
    for name in inputs.plan.data:
        split = inputs.dataset(name).split_digests.get("dev.gate")
        if split is None:
            continue
        if not held:
            refuse_bare(split, f"{name}.dev.gate")
        elif standing(split) is None and (seen := looks.count(looks.everything(), split, GATE)):
            reporter.note(
                f"{name}.dev.gate has been looked at before without the reusable hold-out "
                f"({seen:,} of `gradus looks`): its bounds don't allow for what was learnt then"
            )


def veiled(measured: Measured, inputs: Inputs) -> tuple[Measured, dict[str, Any]]:
    """What may be shown, and where the hold-outs stand by data set; as it is without the setting.

    Raises:
        UsageError: a hold-out was first asked with other settings.
        StorageError: the state folder can't be used.
    """
    raw = inputs.plan.measure.get("reusable_holdout")
    if raw is None:
        return measured, {}
    settings = Settings(**raw)
    shown = [m for m in measured.measurements if not _hidden(m, inputs)]
    standing: dict[str, Any] = {}
    places = dict.fromkeys(
        (m.checkpoint, m.data) for m in measured.measurements if _hidden(m, inputs)
    )
    for checkpoint, data in places:
        there = [
            m
            for m in measured.measurements
            if _hidden(m, inputs) and (m.checkpoint, m.data) == (checkpoint, data)
        ]
        answers, told = _answers(there, settings, inputs)
        shown += answers
        before = standing.get(data, {"asked": 0, "spent": 0})
        for asked, spent in told:
            before = {"asked": max(asked, before["asked"]), "spent": max(spent, before["spent"])}
        standing[data] = {**before, "budget": settings.budget}
    kept = replace(measured, measurements=tuple(shown), slices=(), seeds=())
    return kept, standing


def _hidden(m: Measurement, inputs: Inputs) -> bool:
    """Whether it tells something of the labels of a data set's dev.gate."""
    cost = m.metric in CostBenchmark.metrics
    return m.split == GATE and m.data in inputs.plan.data and not cost


def _answers(
    there: Sequence[Measurement], settings: Settings, inputs: Inputs
) -> tuple[list[Measurement], list[list[int]]]:
    """Of one checkpoint on one data set: measurements on dev.select, and answers on dev.gate.

    Behind them how often was asked and answered from the hold-out after each. Kept beside the
    items, so that a plan that runs again asks nothing and predicts nothing.
    """
    first = there[0]
    asked = [_asked(first, inputs), each(float(inputs.plan.measure["level"]))]
    mark = digest([asked, asdict(settings), settings_of(inputs), first.checkpoint])[:12]
    file = (inputs.folder.path / str(first.items)).parent / f"held-{mark}.json"
    if not file.exists():
        found, told = _ask(there, settings, inputs)
        answers = [m.to_json() for m in found]
        write_json(file, {"measurements": answers, "standing": [[t.asked, t.spent] for t in told]})
    kept = read_json(file)
    return [Measurement.from_json(m) for m in kept["measurements"]], kept["standing"]


def _ask(
    there: Sequence[Measurement], settings: Settings, inputs: Inputs
) -> tuple[list[Measurement], list[Told]]:
    first, seen = there[0], predictions_of(there, inputs)
    assert seen is not None, "items of data sets are kept"
    dataset, gate = inputs.dataset(first.data), one_of(seen)
    select = quality.predictions(
        inputs.predictor(first.checkpoint).predictor,
        dataset.splits["dev.select"],
        dataset.labels,
        target=dataset.target,
    )
    found = _on_select(first, select, inputs)
    told = []
    for name in _asked(first, inputs):
        own = next((m for m in there if m.metric == name), None)
        if own is None:
            continue
        low, high = registry.load("metrics", name).range
        one = question(
            dataset.split_digests[GATE],
            settings,
            digest([name, inputs.checkpoint(first.checkpoint).digest, own.n])[:24],
            select=_scaled(name, select),
            gate=_scaled(name, gate),
            n=own.n,
            level=float(inputs.plan.measure["level"]),
        )
        told.append(one)
        found.append(_answered(own, one, low, high))
    return found, told


def _on_select(like: Measurement, select: Items, inputs: Inputs) -> list[Measurement]:
    """What the benchmark compares, on the half that may be looked at."""
    plan = inputs.plan
    common = {
        "data": like.data,
        "split": "dev.select",
        "checkpoint": like.checkpoint,
        "contract": like.contract,
        "benchmark": like.benchmark,
    }
    return [
        quality.measured(
            registry.load("metrics", name)(),
            name,
            select,
            common=common,
            level=float(plan.measure["level"]),
            draws=int(plan.measure["bootstrap"]),
            seed=plan.seed,
        )
        for name in benchmarks.compared(like.benchmark)
    ]


def _asked(of: Measurement, inputs: Inputs) -> list[str]:
    """The metrics that gates of the plan ask of this checkpoint on these data, and that can be
    answered: its own step's, and those that hold another one against it."""
    from gradus.plan.holdout import answerable, on_gate

    found = []
    for spec in inputs.plan.steps:
        if of.data not in spec.data or not on_gate(spec.config):
            continue
        # What `evaluate` judges is the last of its models.
        own = {spec.id, *(spec.models[-1:] if registry.plain(spec.kind) == "evaluate" else ())}
        for text in spec.gates:
            gate = gates.parse(text, scores=inputs.scores.own)
            other = spec.models[0] if gate.reference == "parent" else gate.reference
            if of.checkpoint in {*own, other} and answerable(gate.measured):
                found.append(gate.metric)
    return list(dict.fromkeys(found))


def _scaled(name: str, items: Items) -> float:
    kind = registry.load("metrics", name)
    low, high = kind.range
    return float((kind()(items) - low) / (high - low))


def _answered(own: Measurement, told: Told, low: float, high: float) -> Measurement:
    """The answer in the place of what was measured, with the bound that holds for it."""
    if told.answer.value is None:
        changed: dict[str, Any] = {"value": None, "ci_low": None, "ci_high": None}
    else:
        value, far = low + told.answer.value * (high - low), told.bound * (high - low)
        changed = {
            "value": value,
            "ci_low": max(low, value - far),
            "ci_high": min(high, value + far),
        }
    contract = {**own.contract, "holdout": METHOD}
    return replace(own, **changed, ci_method=METHOD, items=None, contract=contract)
