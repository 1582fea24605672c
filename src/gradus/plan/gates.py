"""Gates as they stand in a plan: does each one ask for something that will be known?"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from gradus import registry
from gradus.data.dataset import SPLITS
from gradus.errors import unknown
from gradus.plan import corpora, writing
from gradus.plan.benchmarks import check_gate
from gradus.plan.faults import Faults, TreePath
from gradus.plan.references import check_model, own_extra

if TYPE_CHECKING:
    from gradus.gates.grammar import GateSpec
    from gradus.metrics.base import Metric
    from gradus.plan.check import Draft, StepDraft

_COST_NEEDS: Final = ("latency", "throughput", "memory", "size")


def references(gates: Iterable[str], scores: Collection[str] = ()) -> list[str]:
    """The steps and models that gates compare with; a gate that can't be read has none.

    `scores` are the names of the plan's own scores.
    """
    from gradus.gates.grammar import GateSyntaxError, parse

    found = []
    for text in gates:
        try:
            spec = parse(text, scores=scores)
        except GateSyntaxError:
            continue  # told where the gate itself is checked
        if spec.reference not in (None, "parent"):
            found.append(".".join(filter(None, (spec.reference, spec.against))))
    return found


def _parsed(
    text: str,
    path: TreePath,
    faults: Faults,
    metrics: Collection[str] | None = None,
    scores: Collection[str] = (),
) -> GateSpec | None:
    from gradus.gates.grammar import GateSyntaxError, parse

    try:
        return parse(text, metrics=metrics, scores=scores)
    except GateSyntaxError as error:
        faults.add(path, str(error))
        return None


def check_data_gates(draft: Draft, faults: Faults) -> None:
    """Gates on data compare a fact of the data set, or what its audit found, with a number."""
    from gradus.data.audit.names import AUDIT_MEASUREMENTS, GATED

    for name, config in draft.data.items():
        gates = config.get("gates")
        for i, text in enumerate(gates if isinstance(gates, list) else []):
            path = ("data", name, "gates", i)
            spec = _parsed(text, path, faults, GATED) if isinstance(text, str) else None
            if spec is None:
                continue
            if spec.reference is not None:
                faults.add(path, f"a data gate compares with a number, not with '{spec.reference}'")
            if spec.prefix is not None or spec.label is not None or spec.slice is not None:
                faults.add(path, f"a data gate is of its own data set: write {spec.metric} alone")
            if spec.metric in AUDIT_MEASUREMENTS and config.get("audit") is False:
                faults.add(path, f"{spec.metric} is of the audit, which 'audit: false' leaves out")


def check_step_gates(draft: Draft, faults: Faults) -> None:
    """Gates on steps: one that the step is measured by, and a reference that is there."""
    for step in draft.steps:
        for i, text in enumerate(step.gates):
            path = ("steps", step.index, "gates", i)
            spec = _parsed(text, path, faults, scores=draft.scores)
            if spec is None:
                continue
            if writing.is_about(draft, spec):
                _check_measured(draft, step, spec, path, faults)
                writing.check_gate(draft, step, spec, path, faults)
                continue
            on_benchmark = check_gate(draft, step, spec, path, faults)
            on_corpus = not on_benchmark and corpora.is_about(draft, step, spec)
            if not on_benchmark:
                _check_metric(draft, step, spec, path, faults)
            if on_corpus:
                corpora.check_gate(draft, step, spec, path, faults)
            elif spec.slice is not None and not on_benchmark:
                _check_slice(draft, spec, path, faults)
            if spec.prefix is not None and not on_benchmark:
                _check_prefix(draft, spec.prefix, path, faults)
            if spec.reference is not None:
                _check_reference(draft, step, spec, path, faults, on_benchmark)


def _check_metric(
    draft: Draft, step: StepDraft, spec: GateSpec, path: TreePath, faults: Faults
) -> None:
    if step.produces is None or (spec.metric in draft.scores and spec.metric not in draft.made.own):
        return
    if not _check_measured(draft, step, spec, path, faults):
        return
    _check_target(draft, step, spec, path, faults)
    metric: type[Metric] = draft.made.kind(spec.metric)
    if metric.needs in _COST_NEEDS and corpora.alone(step):
        faults.add(path, f"{spec.metric} is taken on a data set; '{step.id}' names a corpus")
    elif metric.needs not in _COST_NEEDS:
        if not _may_have_data(draft, step):
            faults.add(path, f"{spec.metric} is taken on items, but step '{step.id}' has no data")
    elif not draft.measure["cost"]:
        faults.add(path, f"{spec.metric} isn't measured: the plan says measure.cost: false")


def _check_measured(
    draft: Draft, step: StepDraft, spec: GateSpec, path: TreePath, faults: Faults
) -> bool:
    """Whether the step can be measured by the gate's metric; a fault where it can't."""
    if step.produces is None or measured_by(draft, spec.metric, step.produces):
        return True
    _not_measured(draft, step, spec, path, faults)
    return False


def _check_target(
    draft: Draft, step: StepDraft, spec: GateSpec, path: TreePath, faults: Faults
) -> None:
    """A metric of quality is one that the benchmark of the data's target has."""
    from gradus import benchmarks

    named = step.needs.data.values() if step.needs is not None else ()
    targets = {draft.data.get(name, {}).get("target") for name in named} - {None}
    if len(targets) != 1:
        return
    (target,) = targets
    benchmark = benchmarks.of(str(target))
    rests = draft.made.bases.get(spec.metric, frozenset({spec.metric}))
    for metric in sorted((rests & benchmarks.quality_metrics()) - set(benchmark.metrics)):
        why = unknown("metric", metric, benchmark.metrics)
        faults.add(path, f"{why}; the data's target is '{target}', measured by {benchmark.name}")


def measured_by(draft: Draft, metric: str, produces: frozenset[str]) -> bool:
    """Whether a metric, the plan's own scores included, is among what a step can be measured by."""
    return draft.made.bases.get(metric, frozenset({metric})) <= produces


def _not_measured(
    draft: Draft, step: StepDraft, spec: GateSpec, path: TreePath, faults: Faults
) -> None:
    produces = step.produces or frozenset()
    missing = sorted(draft.made.bases.get(spec.metric, frozenset()) - produces)
    own = [name for name in draft.made.own if measured_by(draft, name, produces)]
    can = ", ".join(sorted([*produces, *own])) or "nothing"
    rests = f", which rests on {', '.join(missing)}" if missing else ""
    faults.add(path, f"step '{step.id}' isn't measured by {spec.metric}{rests}; it can be by {can}")


def _check_slice(draft: Draft, spec: GateSpec, path: TreePath, faults: Faults) -> None:
    assert spec.slice is not None
    by = [slicing.removeprefix("column:") for slicing in draft.measure["slices"]]
    if not by:
        faults.add(path, f"{spec.measured} is of a slice, but the plan has no measure.slices")
    elif spec.slice[0] not in by:
        faults.add(path, unknown("slicing", spec.slice[0], by))
    if spec.metric in draft.made.own or spec.metric in draft.scores:
        return
    if draft.made.kind(spec.metric).needs in (*_COST_NEEDS, "parent"):
        faults.add(path, f"{spec.metric} isn't taken on slices of the items")


def _check_prefix(draft: Draft, prefix: str, path: TreePath, faults: Faults) -> None:
    benchmarks = {registry.plain(entry) for entry in registry.names("benchmarks")}
    data, _, split = prefix.partition(".")
    known = {*draft.data, *draft.corpora}
    if prefix in SPLITS or prefix in benchmarks or (data in known and split in ("", *SPLITS)):
        return
    if data in known:
        faults.add(path, unknown("split", split, SPLITS))
    else:
        faults.add(path, unknown("data set or benchmark", data, {*known, *benchmarks}))


def _check_reference(
    draft: Draft,
    step: StepDraft,
    spec: GateSpec,
    path: TreePath,
    faults: Faults,
    on_benchmark: bool,
) -> None:
    name = spec.reference
    if name == "parent":
        parents = list(step.needs.models.values()) if step.needs is not None else None
        if parents == []:
            faults.add(path, f"step '{step.id}' has no parent: it names no model")
        name = parents[0] if parents else None
        index = draft.index(name) if name is not None else None
        other = draft.steps[index] if index is not None and index < step.index else None
    elif name is not None and name == step.id and spec.against is not None:
        other = step
    elif name is not None and not own_extra(step, name):
        other = check_model(draft, step, name, path, faults)
    else:
        other = None
    if spec.against is None and name is not None and name == _last_of_several(step):
        faults.add(
            path,
            f"compares '{name}' with itself: gates of '{step.id}' are about the last of its "
            "models, so put the one that is judged last",
        )
        return
    if other is None or other.produces is None or step.produces is None:
        return
    if on_benchmark:
        return  # whatever speaks is measured on it beside the step's own models
    if measured_by(draft, spec.metric, step.produces) and not measured_by(
        draft, spec.theirs.metric, other.produces
    ):
        _not_measured(draft, other, spec.theirs, path, faults)


def _last_of_several(step: StepDraft) -> str | None:
    """What the gates are about where a step measures a list of models and makes none itself."""
    listed = [
        name
        for field, name in (step.needs.models.items() if step.needs is not None else ())
        if field.startswith("models[")
    ]
    return listed[-1] if listed else None


def _may_have_data(draft: Draft, step: StepDraft) -> bool:
    """Whether the step, or one that its models come from, names data or isn't known."""
    waiting, seen = [step], {step.index}
    while waiting:
        current = waiting.pop()
        needs = current.needs
        if needs is None or needs.data or needs.corpora or needs.benchmarks:
            return True
        for name in needs.models.values():
            index = draft.index(name)
            if index is None and name not in draft.models:
                return True
            if index is not None and index not in seen:
                seen.add(index)
                waiting.append(draft.steps[index])
    return False
