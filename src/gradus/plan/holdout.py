"""Gates of a plan whose dev.gate answers through Thresholdout."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gradus import registry
from gradus.errors import UnknownName
from gradus.plan.faults import Faults

if TYPE_CHECKING:
    from gradus.plan.check import Draft


def answerable(metric: str) -> bool:
    """Whether it is a mean over items of something bounded, which the bound is about."""
    from gradus.benchmarks.cost import CostBenchmark
    from gradus.metrics.means import MeanMetric

    try:
        kind = registry.load("metrics", metric)
    except UnknownName:
        return False
    bounded = issubclass(kind, MeanMetric) and all(math.isfinite(end) for end in kind.range)
    return bounded and not kind.per_label and metric not in CostBenchmark.metrics


def check_holdout(draft: Draft, faults: Faults) -> None:
    """With ``measure.reusable_holdout`` gates on dev.gate ask for means of bounded items alone."""
    from gradus.benchmarks.cost import CostBenchmark
    from gradus.gates.grammar import GateSyntaxError, parse

    if draft.measure.get("reusable_holdout") is None:
        return
    for name, config in draft.data.items():
        if config.get("dev") == "joined":
            faults.add(("data", name, "dev"), "a reusable hold-out needs dev's halves apart")
    for step in draft.steps:
        path = ("steps", step.index)
        if step.seeds > 1:
            faults.add((*path, "seeds"), "several seeds and a reusable hold-out don't go together")
        for i, text in enumerate(step.gates):
            try:
                spec = parse(text, scores=draft.scores)
            except GateSyntaxError:
                continue  # told where the gate itself is checked
            on_data = step.needs is not None and bool(step.needs.data)
            on_data = on_data and not step.benchmarks and on_gate(step.config)
            if not on_data or spec.metric in CostBenchmark.metrics or answerable(spec.measured):
                continue
            faults.add(
                (*path, "gates", i),
                f"{spec.measured} isn't a mean over all items of something bounded, which is all "
                "that measure.reusable_holdout answers; ask for accuracy, say, or gate on test",
            )


def on_gate(config: object) -> bool:
    """Whether a step is measured on dev.gate, not on a split that its `on` names."""
    on = config.get("on") if isinstance(config, Mapping) else None
    return not (isinstance(on, str) and on.endswith((".test", ".dev.select")))
