"""Benchmarks on files in a plan: is each one known, do its options fit, is its file there?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradus.benchmarks import named
from gradus.errors import GradusError
from gradus.plan.corpora import with_metric
from gradus.plan.faults import Faults, TreePath
from gradus.plan.plainly import validate
from gradus.plan.references import path_of

if TYPE_CHECKING:
    from gradus.gates.grammar import GateSpec
    from gradus.plan.check import Draft, StepDraft


def check_benchmarks(draft: Draft, faults: Faults, folder: Path | None) -> None:
    """Every entry is known and its options fit; the resolved plan then holds all of them.

    With `folder`, what paths are relative to, their files must be there too.
    """
    for step in draft.steps:
        if step.needs is None or not step.needs.benchmarks:
            continue
        resolved = [
            _resolved(draft, step, entry, path_of(step, place), faults, folder)
            for place, entry in step.needs.benchmarks.items()
        ]
        if step.config is not None and None not in resolved:
            step.config = {**step.config, "benchmarks": resolved}


def _resolved(
    draft: Draft, step: StepDraft, entry: Any, path: TreePath, faults: Faults, folder: Path | None
) -> dict[str, Any] | None:
    """The entry with its version and every default; None where it has a fault."""
    try:
        asked = named.read(entry)
        kind = asked.load()
    except GradusError as error:
        faults.add(path, str(error))
        # Gates on it aren't told that it dangles.
        step.benchmarks = {**step.benchmarks, **_unread(entry)}
        return None
    if asked.name in step.benchmarks:
        again = f"{asked.name}-2: {{benchmark: {asked.kind}, ...}}"
        faults.add(path, f"'{asked.name}' stands there twice: give one another name, as {again}")
    step.benchmarks = {**step.benchmarks, asked.name: kind}
    if asked.name in draft.data or asked.name in draft.corpora:
        kind_of = "data set" if asked.name in draft.data else "corpus"
        faults.add(
            path, f"a {kind_of} is named '{asked.name}' too: name the benchmark by another name"
        )
    below = path if isinstance(entry, str) else (*path, next(iter(entry)))
    config = validate(kind.Config, dict(asked.options), below, faults).config
    if config is None:
        return None
    if folder is not None:
        try:
            named.place(config, folder)
        except GradusError as error:
            faults.add((*below, "path") if asked.inside else below, str(error))
    return asked.resolved(config)


def _unread(entry: Any) -> dict[str, None]:
    names = [entry] if isinstance(entry, str) else list(entry)
    return {str(name): None for name in names}


def on_benchmarks(draft: Draft, step: StepDraft, spec: GateSpec) -> list[str]:
    """The benchmarks of a step that a gate may be about, by its prefix or else by its metric."""
    if spec.prefix is not None:
        return [name for name in step.benchmarks if name == spec.prefix]
    rests = draft.made.bases.get(spec.metric, frozenset({spec.metric}))
    return [
        name
        for name, kind in step.benchmarks.items()
        if kind is not None and rests <= named.metrics_of(kind)
    ]


def check_gate(
    draft: Draft, step: StepDraft, spec: GateSpec, path: TreePath, faults: Faults
) -> bool:
    """Faults of a gate as far as it is about benchmarks; True where it is about one."""
    about = on_benchmarks(draft, step, spec)
    own_data = {*draft.data, *draft.corpora}
    if spec.prefix is not None:
        if not about and _on_file(spec.prefix) and spec.prefix not in own_data:
            known = ", ".join(step.benchmarks) or "no benchmark"
            faults.add(
                path, f"step '{step.id}' isn't measured on '{spec.prefix}'; it is on {known}"
            )
            return True
        for name in about:
            _check_metric(draft, name, step.benchmarks[name], spec, path, faults)
    places = [*about, *_data_with(draft, step, spec)] if spec.prefix is None else about
    if about and len(places) > 1:
        faults.add(
            path,
            f"{spec.metric} is measured on {' and '.join(places)}: write which, as in "
            f"{places[0]}.{spec.metric}",
        )
    if about and spec.slice is not None:
        faults.add(path, f"the items of {about[0]} have no slices: leave out {{...}}")
    return bool(about)


def _check_metric(
    draft: Draft, name: str, kind: Any, spec: GateSpec, path: TreePath, faults: Faults
) -> None:
    if kind is None:
        return
    rests = draft.made.bases.get(spec.metric, frozenset({spec.metric}))
    lacking = sorted(rests - named.metrics_of(kind))
    if lacking:
        can = ", ".join(sorted(kind.metrics))
        faults.add(path, f"{name} isn't measured by {lacking[0]}; it is by {can}")


def _data_with(draft: Draft, step: StepDraft, spec: GateSpec) -> list[str]:
    """The step's corpora and data sets that the gate's metric could be meant of."""
    from gradus import benchmarks

    rests = draft.made.bases.get(spec.metric, frozenset({spec.metric}))
    found = with_metric(draft, step, spec)
    for name in step.needs.data.values() if step.needs is not None else ():
        target = draft.data.get(name, {}).get("target", "label")
        if rests <= set(benchmarks.of(str(target)).metrics):
            found.append(name)
    return found


def _on_file(name: str) -> bool:
    try:
        named.load(name)
    except GradusError:
        return False
    return True
