"""What is kept of a step that is done."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from gradus import hardware
from gradus.runner.monitor import RunMonitor
from gradus.steps.base import StepOutcome


def outcome_json(
    outcome: StepOutcome, place: Path, monitor: RunMonitor, seconds: float, resumed: bool
) -> dict[str, Any]:
    """The outcome as JSON, its paths relative to the step's folder `place`."""

    def inside(path: Path) -> str:
        return path.resolve().relative_to(place.resolve()).as_posix()

    notes = list(dict.fromkeys([*monitor.notes, *outcome.notes]))
    return {
        "checkpoint": None if outcome.checkpoint is None else inside(outcome.checkpoint),
        "extras": {name: inside(path) for name, path in outcome.extras.items()},
        "measure": None
        if outcome.measure is None
        else [dataclasses.asdict(target) for target in outcome.measure],
        "notes": notes,
        "facts": dict(outcome.facts),
        "withheld": dict(outcome.withheld),
        "scored": monitor.scored,
        "cost": {
            **outcome.cost,
            "seconds": seconds,
            "resumed": resumed,
            "peak_memory_mb": hardware.peak_memory_mb(),
        },
        "seconds": seconds,
    }


def set_threads() -> None:
    """Let torch use as many threads as the machine, or its user, gives us."""
    import torch

    torch.set_num_threads(hardware.threads())
