"""Judges: were the people whom they are held against shown the same writings?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gradus import registry
from gradus.plan.references import path_of

if TYPE_CHECKING:
    from gradus.plan.check import Draft, StepDraft
    from gradus.plan.faults import Faults

_JUDGING: Final = "judge"


def check_judging(draft: Draft, faults: Faults) -> None:
    """Faults that would otherwise come to light when everything before them has been computed."""
    for step in draft.steps:
        if step.kind is None or registry.plain(step.kind) != _JUDGING or step.needs is None:
            continue
        panel = _step(draft, step, step.needs.models.get("trust.panel"))
        if panel is not None and panel.kind is not None and registry.plain(panel.kind) == "panel":
            _check_panel(step, panel, faults)


def _step(draft: Draft, step: StepDraft, name: str | None) -> StepDraft | None:
    """The earlier step of that name; None for a model's, or one that isn't there."""
    index = None if name is None else draft.index(name)
    return draft.steps[index] if index is not None and index < step.index else None


def _check_panel(step: StepDraft, panel: StepDraft, faults: Faults) -> None:
    """A judge is held against people who judged the same samples in the same way."""
    mine: dict[str, Any] = step.config or {}
    theirs: dict[str, Any] = panel.config or {}
    for key, what in (("of", "judged the samples of"), ("mode", "is of the mode")):
        if key in mine and key in theirs and mine[key] != theirs[key]:
            faults.add(
                path_of(step, "trust.panel"),
                f"'{panel.id}' {what} '{theirs[key]}', this step '{mine[key]}': nothing can be "
                "held against the other",
            )
