"""Cross-validation begins with models that haven't seen what its folds hold out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus import registry
from gradus.plan.faults import Faults
from gradus.plan.references import path_of

if TYPE_CHECKING:
    from gradus.plan.check import Draft, StepDraft
    from gradus.steps.base import Step


def check_folded(draft: Draft, faults: Faults) -> None:
    """No step that a fold begins with was trained on the data that are folded, unless the plan
    says why. What `models:` names is looked at when the folds are made."""
    for step in draft.steps:
        if step.kind is None or step.config is None or step.needs is None:
            continue
        if registry.plain(step.kind) != "crossval" or step.config.get("seen_items"):
            continue
        data = step.config["data"]
        for place, name in step.needs.models.items():
            taught = next((s for s in _line(draft, step, name) if _learns(s, data)), None)
            if taught is not None:
                faults.add(
                    path_of(step, place),
                    f"'{taught.id}' was trained on '{data}', so it has seen what the folds of it "
                    'hold out: begin with a model that has not, or say why with seen_items: "...", '
                    "which the report repeats",
                )


def _line(draft: Draft, step: StepDraft, name: str) -> list[StepDraft]:
    """The steps that a name in `step` descends from, itself first; none for a model."""
    found: list[StepDraft] = []
    waiting = [(step, name)]
    while waiting:
        below, name = waiting.pop(0)
        index = draft.index(name)
        if index is None or index >= below.index or draft.steps[index] in found:
            continue
        parent = draft.steps[index]
        found.append(parent)
        waiting += [(parent, one) for one in (parent.needs.models.values() if parent.needs else ())]
    return found


def _learns(step: StepDraft, data: str) -> bool:
    if step.kind is None or step.config is None or step.needs is None:
        return False
    kind: type[Step] = registry.load("steps", step.kind)
    named = data in step.needs.data.values()
    return named and kind.learns(kind.Config.model_validate(step.config))
