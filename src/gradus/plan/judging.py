"""Steps that have writings judged: do they name samples, and a panel that judged the same ones?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gradus import registry
from gradus.plan.references import path_of

if TYPE_CHECKING:
    from gradus.plan.check import Draft, StepDraft
    from gradus.plan.faults import Faults

_NAMED: Final = {"of": ("sample", "samples"), "trust.panel": ("panel", "ratings")}
"""By the config's field, which step makes what it must name."""
_JUDGING: Final = ("judge", "panel")


def check_judging(draft: Draft, faults: Faults) -> None:
    """Faults that would otherwise come to light when everything before them has been computed.

    What stands under ``models:`` is looked at when the step runs: it may be a folder of samples.
    """
    for step in draft.steps:
        if step.kind is None or registry.plain(step.kind) not in _JUDGING or step.needs is None:
            continue
        for place, (kind, makes) in _NAMED.items():
            named = _step(draft, step, step.needs.models.get(place))
            if named is None or named.kind is None:
                continue
            if registry.plain(named.kind) != kind:
                faults.add(
                    path_of(step, place),
                    f"'{named.id}' is a step '{registry.plain(named.kind)}', which makes no "
                    f"{makes}; name a step '{kind}'",
                )
            elif place == "trust.panel":
                _check_panel(step, named, faults)


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
