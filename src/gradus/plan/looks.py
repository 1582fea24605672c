"""When a plan may look at test: behind everything that makes something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus import registry
from gradus.plan.faults import Faults

if TYPE_CHECKING:
    from gradus.plan.check import Draft, StepDraft
    from gradus.steps.base import Step


def check_early_test(draft: Draft, faults: Faults) -> None:
    """A step that reads test has only steps behind it that make nothing, or says why not.

    What is made after test was read may rest on what was seen there. Several evaluations at the end
    (of several test splits, or on dev beside test) are fine.
    """
    for step in draft.steps:
        kind = _kind(step)
        if kind is None or step.config is None:
            continue
        reads = kind.reads_test(kind.Config.model_validate(step.config))
        path = ("steps", step.index)
        if step.early_test and not reads:
            faults.add((*path, "early_test"), f"'{step.id}' doesn't read test: leave it out")
        later = next((s for s in draft.steps[step.index + 1 :] if _makes(s)), None)
        if reads and later is not None and not step.early_test:
            faults.add(
                path,
                f"'{step.id}' reads test before '{later.id}', which may then rest on what was seen "
                'there: move it to the end, or say why with early_test: "...", which the report '
                "repeats",
            )


def _makes(step: StepDraft) -> bool:
    kind = _kind(step)
    return kind is not None and kind.makes != "nothing"


def _kind(step: StepDraft) -> type[Step] | None:
    if step.kind is None:
        return None
    found: type[Step] = registry.load("steps", step.kind)
    return found
