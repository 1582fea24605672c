"""Gates as they stand in a plan: does each one ask for something that will be known?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from gradus import registry
from gradus.errors import unknown
from gradus.plan.faults import Faults, TreePath
from gradus.plan.references import check_model, lineage_data

if TYPE_CHECKING:
    from gradus.gates.grammar import GateSpec
    from gradus.metrics.base import Metric
    from gradus.plan.check import Draft, StepDraft

DATA_FACTS: Final = ("rows", "duplicate_rate", "conflict_rate", "smallest_class_share")
_ITEM_NEEDS: Final = ("labels", "probabilities", "parent")


def references(gates: Iterable[str]) -> list[str]:
    """The steps and models that gates compare with; a gate that can't be read has none."""
    from gradus.gates.grammar import GateSyntaxError, parse

    found = []
    for text in gates:
        try:
            spec = parse(text)
        except GateSyntaxError:
            continue  # told where the gate itself is checked
        if spec.reference not in (None, "parent"):
            found.append(str(spec.reference))
    return found


def _parsed(text: str, path: TreePath, faults: Faults) -> GateSpec | None:
    from gradus.gates.grammar import GateSyntaxError, parse

    try:
        return parse(text)
    except GateSyntaxError as error:
        faults.add(path, str(error))
        return None


def check_data_gates(draft: Draft, faults: Faults) -> None:
    """Gates on data compare a fact of the data set with a number."""
    for name, config in draft.data.items():
        gates = config.get("gates") or []
        for i, text in enumerate(gates if isinstance(gates, list) else []):
            path = ("data", name, "gates", i)
            spec = _parsed(text, path, faults) if isinstance(text, str) else None
            if spec is None:
                continue
            if spec.metric not in DATA_FACTS:
                faults.add(path, unknown("fact of a data set", spec.metric, DATA_FACTS))
            if spec.reference is not None:
                faults.add(path, f"a data gate compares with a number, not with '{spec.reference}'")
            if spec.prefix is not None or spec.label is not None or spec.surely:
                faults.add(path, "a data gate is FACT OP NUMBER, as in 'rows >= 1000'")


def check_step_gates(draft: Draft, faults: Faults) -> None:
    """Gates on steps: known metric, one the step is measured by, a reference that is there."""
    for step in draft.steps:
        for i, text in enumerate(step.gates):
            path = ("steps", step.index, "gates", i)
            spec = _parsed(text, path, faults)
            if spec is None:
                continue
            _check_metric(draft, step, spec, path, faults)
            if spec.prefix is not None:
                _check_prefix(draft, spec.prefix, path, faults)
            if spec.reference is not None:
                _check_reference(draft, step, spec, path, faults)


def _metric(name: str) -> type[Metric] | None:
    plain = {registry.plain(entry) for entry in registry.names("metrics")}
    if name not in plain:
        return None
    metric: type[Metric] = registry.load("metrics", name)
    return metric


def _check_metric(
    draft: Draft, step: StepDraft, spec: GateSpec, path: TreePath, faults: Faults
) -> None:
    metric = _metric(spec.metric)
    if metric is None:
        known = {registry.plain(entry) for entry in registry.names("metrics")}
        faults.add(path, unknown("metric", spec.metric, known))
        return
    if metric.per_label and spec.label is None:
        faults.add(path, f"{spec.metric} belongs to one label: write {spec.metric}[LABEL]")
    if not metric.per_label and spec.label is not None:
        faults.add(path, f"{spec.metric} has no labels: write {spec.metric} alone")
    if step.produces is None:
        return
    if spec.metric not in step.produces:
        can = ", ".join(sorted(step.produces)) or "nothing"
        faults.add(path, f"step '{step.id}' isn't measured by {spec.metric}; it can be by {can}")
    elif metric.needs in _ITEM_NEEDS:
        if spec.prefix is None and not _data_of(draft, step):
            faults.add(path, f"{spec.metric} is taken on items, but step '{step.id}' has no data")
    elif not draft.measure["cost"]:
        faults.add(path, f"{spec.metric} isn't measured: the plan says measure.cost: false")


def _check_prefix(draft: Draft, prefix: str, path: TreePath, faults: Faults) -> None:
    benchmarks = {registry.plain(entry) for entry in registry.names("benchmarks")}
    if prefix not in draft.data and prefix not in benchmarks:
        faults.add(path, unknown("data set or benchmark", prefix, {*draft.data, *benchmarks}))


def _check_reference(
    draft: Draft, step: StepDraft, spec: GateSpec, path: TreePath, faults: Faults
) -> None:
    name = spec.reference
    if name == "parent":
        parents = list(step.needs.models.values()) if step.needs is not None else None
        if parents == []:
            faults.add(path, f"step '{step.id}' has no parent: it names no model")
        name = parents[0] if parents else None
        index = draft.index(name) if name is not None else None
        other = draft.steps[index] if index is not None and index < step.index else None
    elif name is not None:
        other = check_model(draft, step, name, path, faults)
    else:
        other = None
    if other is None or other.produces is None or step.produces is None:
        return
    if spec.metric in step.produces and spec.metric not in other.produces:
        can = ", ".join(sorted(other.produces)) or "nothing"
        faults.add(path, f"step '{other.id}' isn't measured by {spec.metric}; it can be by {can}")


def _data_of(draft: Draft, step: StepDraft) -> tuple[str, ...]:
    steps = [other for other in draft.steps if other.id is not None and other.index <= step.index]
    return lineage_data(
        step.id or "",
        {s.id or "": list(s.needs.models.values()) for s in steps if s.needs is not None},
        {s.id or "": list(s.needs.data.values()) for s in steps if s.needs is not None},
    )
