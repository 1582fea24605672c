"""What steps with others inside compare by: metrics that the data's target has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus import benchmarks, registry
from gradus.errors import unknown
from gradus.plan.faults import Faults
from gradus.plan.references import path_of

if TYPE_CHECKING:
    from gradus.plan.check import Draft
    from gradus.steps.base import Step


def check_compared(draft: Draft, faults: Faults) -> None:
    """A search, a cross-validation or a learning curve asks for what its data are measured by.

    Otherwise it would show once the first of the steps inside has been trained.
    """
    for step in draft.steps:
        if step.kind is None or step.config is None or step.needs is None:
            continue
        kind: type[Step] = registry.load("steps", step.kind)
        asked = kind.compares_by(kind.Config.model_validate(step.config))
        targets = {draft.data.get(name, {}).get("target") for name in step.needs.data.values()}
        if not asked or len(targets - {None}) != 1:
            continue
        (target,) = targets - {None}
        benchmark = benchmarks.of(str(target))
        for place, metric in asked.items():
            if metric in benchmark.metrics:
                continue
            faults.add(
                path_of(step, place),
                f"{unknown('metric', metric, benchmark.metrics)}; the data's target is "
                f"'{target}', measured by {benchmark.name}",
            )
