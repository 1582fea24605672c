"""Taking the measurements of a step, once, and finding them again on a later run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gradus.measure import cost
from gradus.metrics.base import Observed
from gradus.records import Measurement, StepSpec
from gradus.runner.fingerprint import digest
from gradus.runner.inputs import Inputs
from gradus.runner.keys import cost_key, items_key, referenced, settings
from gradus.runner.monitor import Reporter
from gradus.runner.observing import all_quality
from gradus.runner.taken import once
from gradus.runner.timing import companions_of, time_in_turns
from gradus.steps.base import Target


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured after one step.

    `timings` holds the raw timings by checkpoint, of all that took turns; `main` is the checkpoint
    that the step's gates are about; `seconds` is how long measuring took, when it was done;
    `slices` and `seeds` are rows of what slices and single seeds gave, for the report.
    """

    main: str
    measurements: tuple[Measurement, ...]
    timings: Mapping[str, Observed] = field(default_factory=dict)
    seconds: float = 0.0
    slices: tuple[Mapping[str, Any], ...] = ()
    seeds: tuple[Mapping[str, Any], ...] = ()

    def of(self, checkpoint: str) -> list[Measurement]:
        """The measurements of one checkpoint."""
        return [m for m in self.measurements if m.checkpoint == checkpoint]


def measure(
    spec: StepSpec,
    targets: Sequence[Target],
    produces: frozenset[str],
    folder: Path,
    inputs: Inputs,
    reporter: Reporter,
) -> Measured:
    """Measure `targets`; item files that are there already are read instead of made again.

    Items, quality and cost are kept apart: another interval or another gate on cost reads no
    split again.
    """
    if not targets:
        return Measured(main=spec.id, measurements=())
    main = targets[0] if targets[0].checkpoint == spec.id else targets[-1]
    targets = [*targets, *_references(spec, targets, main, inputs)]
    companions = companions_of(spec, targets, produces, inputs)
    place = folder / "measure" / items_key(targets, inputs)
    kept = once(
        place / f"quality-{digest(settings(inputs))[:12]}.json",
        lambda: all_quality(spec, targets, produces, place, inputs, reporter),
    )
    timings = {}
    if companions:
        place = folder / "measure" / cost_key(targets, companions, inputs)
        cost_kept = once(
            place / "cost.json", lambda: time_in_turns(companions, targets, place, inputs, reporter)
        )
        kept = kept.joined(cost_kept)
        timings = cost.load_timings(place / "timings.json")
    return Measured(
        main=main.checkpoint,
        measurements=kept.measurements,
        timings=timings,
        seconds=kept.seconds,
        slices=kept.slices,
        seeds=kept.seeds,
    )


def _references(
    spec: StepSpec, targets: Sequence[Target], main: Target, inputs: Inputs
) -> list[Target]:
    """The plan's models that gates compare with, on the items of the step's main checkpoint."""
    here = {t.checkpoint for t in targets}
    names = dict.fromkeys(referenced(spec, inputs))
    return [
        replace(main, checkpoint=name)
        for name in names
        if name not in here
        and name in inputs.plan.models
        and inputs.obstacle(name, main.data) is None
    ]
