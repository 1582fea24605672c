"""Which names refer to what: models, data sets and earlier steps."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gradus import registry
from gradus.errors import unknown
from gradus.plan.faults import Faults, TreePath

if TYPE_CHECKING:
    from gradus.plan.check import Draft, StepDraft
    from gradus.records import Plan
    from gradus.steps.base import Needs, Step

_MANY = ("samples", "ratings", "judgements", "nothing")  # without an article
_PART = re.compile(r"[^.\[\]]+|\[[0-9]+\]")


def check_references(draft: Draft, faults: Faults) -> None:
    """Every name in a step's config stands for something that is there before the step."""
    for step in draft.steps:
        if step.needs is None:
            continue
        for place, name in step.needs.models.items():
            path = path_of(step, place)
            named = check_model(draft, step, name, path, faults)
            if named is not None:
                _check_made(named, step.needs.takes.get(place, ("model",)), path, faults)
        for place, name in step.needs.data.items():
            if name not in draft.data:
                _no_data_set(draft, step, place, name, faults)
        for place, name in step.needs.corpora.items():
            if name not in draft.corpora:
                _no_corpus(draft, step, place, name, faults)


def _check_made(named: StepDraft, takes: Sequence[str], path: TreePath, faults: Faults) -> None:
    """A step that is named makes what is needed there.

    What stands under ``models:`` is looked at when it is read: it may be a folder of anything.
    """
    if named.kind is None:
        return
    kind: type[Step] = registry.load("steps", named.kind)
    if kind.makes in takes:
        return
    made = f"makes {kind.makes}" if kind.makes in _MANY else f"makes a {kind.makes}"
    wanted = " or ".join(what if what in _MANY else f"a {what}" for what in takes)
    faults.add(
        path,
        f"'{named.id}' is a step '{registry.plain(named.kind)}', which {made}; name a step that "
        f"makes {wanted}",
    )


def told_apart(needs: Needs, corpora: Collection[str]) -> Needs:
    """`needs` with each name that may be of a data set or of a corpus where it belongs."""
    if not needs.either:
        return needs
    given = {place: name for place, name in needs.either.items() if name in corpora}
    rest = {place: name for place, name in needs.either.items() if name not in corpora}
    return replace(
        needs, data={**needs.data, **rest}, corpora={**needs.corpora, **given}, either=needs.either
    )


def _no_data_set(draft: Draft, step: StepDraft, place: str, name: str, faults: Faults) -> None:
    assert step.needs is not None, "its caller read the name there"
    if place in step.needs.either:
        message = unknown("data set or corpus", name, [*draft.data, *draft.corpora])
    elif name in draft.corpora:
        message = f"'{name}' is a corpus, whose documents have no labels; name one under 'data:'"
    else:
        message = unknown("data set", name, draft.data)
    faults.add(path_of(step, place), message)


def _no_corpus(draft: Draft, step: StepDraft, place: str, name: str, faults: Faults) -> None:
    if name in draft.data:
        message = f"'{name}' is a data set; name a corpus, which stands under 'corpora:'"
    else:
        message = unknown("corpus", name, draft.corpora)
    faults.add(path_of(step, place), message)


def inherit_data(draft: Draft) -> None:
    """A step whose optional `data` was left out takes that of the step that its model comes from.

    The resolved plan then names it, so that the runner knows what the step is measured on.
    """
    for step in draft.steps:
        if step.config is None or step.kind is None or step.config.get("data", "") is not None:
            continue
        name = _data_of_models(draft, step)
        if name is not None:
            kind: type[Step] = registry.load("steps", step.kind)
            step.config = {**step.config, "data": name}
            needs = kind.needs(kind.Config.model_validate(step.config))
            step.needs = told_apart(needs, draft.corpora)


def _data_of_models(draft: Draft, step: StepDraft) -> str | None:
    """The first data set of the steps before it that its models come from."""
    for model in step.needs.models.values() if step.needs else ():
        index = draft.index(model)
        parent = draft.steps[index] if index is not None and index < step.index else None
        if parent is not None and parent.needs is not None:
            # A parent that could have inherited data has done so already, being earlier.
            found = next(iter(parent.needs.data.values()), None) or _data_of_models(draft, parent)
            if found is not None:
                return found
    return None


def check_model(
    draft: Draft, step: StepDraft, name: str, path: TreePath, faults: Faults
) -> StepDraft | None:
    """A name that must be a model's or an earlier step's; gives the step where it is one.

    ``id.extra`` names a further checkpoint of a step; which ones there are is known when it ran.
    """
    if name in draft.models:
        return None
    index = draft.index(name)
    if index is None:
        steps = [other.id for other in draft.steps if other.id is not None and other is not step]
        faults.add(path, unknown("model or step", name, [*draft.models, *steps]))
        return None
    if index < step.index:
        return draft.steps[index]
    name = name.partition(".")[0]
    cycle = _way_back(draft, name, step.id)
    if cycle:
        faults.add(path, f"cyclic reference: {' -> '.join([step.id or '', *cycle])}")
    else:
        faults.add(path, f"'{name}' is defined later: move it before '{step.id}'")
    return None


def own_extra(step: StepDraft, name: str) -> bool:
    """Whether a gate's reference is a further checkpoint of the gate's own step."""
    head, dot, _ = name.partition(".")
    return bool(dot) and head == step.id


def _way_back(draft: Draft, start: str, goal: str | None) -> list[str]:
    """The shortest chain of references from `start` to `goal`, both included; empty if none."""
    chains = [[start]]
    seen = {start}
    for chain in chains:
        if chain[-1] == goal:
            return chain
        for name in (found.partition(".")[0] for found in _refers_to(draft, chain[-1])):
            if name not in seen:
                seen.add(name)
                chains.append([*chain, name])
    return []


def _refers_to(draft: Draft, step_id: str) -> list[str]:
    from gradus.plan.gates import references

    index = draft.index(step_id)
    if index is None:
        return []
    step = draft.steps[index]
    named = list(step.needs.models.values()) if step.needs else []
    named += [name for name in references(step.gates, draft.scores) if not own_extra(step, name)]
    return [name for name in named if draft.index(name) is not None]


def path_of(step: StepDraft, place: str) -> TreePath:
    """The path of a config field such as ``models[0]``."""
    parts = _PART.findall(place)
    keys = [int(part[1:-1]) if part.startswith("[") else part for part in parts]
    return ("steps", step.index, *keys)


def data_of(plan: Plan, step_id: str) -> tuple[str, ...]:
    """The data sets that a step's checkpoint is measured on.

    Those that the step names; a step that names none (``quantize``) has those of its parents.
    """
    steps = {step.id: step for step in plan.steps}
    found: dict[str, None] = {}
    waiting, seen = [step_id], {step_id}
    while waiting:
        step = steps[waiting.pop()]
        found.update(dict.fromkeys(step.data))
        for name in () if step.data else (model.partition(".")[0] for model in step.models):
            if name in steps and name not in seen:
                seen.add(name)
                waiting.append(name)
    return tuple(found)
