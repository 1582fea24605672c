"""Taking the measurements of a step, once, and finding them again on a later run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gradus.measure import cost
from gradus.metrics.base import Observed
from gradus.records import Measurement, StepSpec
from gradus.runner import corpora, writing
from gradus.runner.benchmarking import Asked, all_benchmarks
from gradus.runner.fingerprint import digest
from gradus.runner.inputs import Inputs
from gradus.runner.keys import corpus_settings, cost_key, items_key, referenced, settings
from gradus.runner.monitor import Reporter
from gradus.runner.observing import all_quality, count_reading
from gradus.runner.taken import Taken, once
from gradus.runner.timing import companions_of, time_in_turns
from gradus.steps.base import Target


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured after one step.

    `timings` holds the raw timings by checkpoint, of all that took turns; `main` is the checkpoint
    that the step's gates are about; `seconds` is how long measuring took, when it was done;
    `slices` and `seeds` are rows of what slices and single seeds gave, `benchmarks` of what the
    benchmarks on files are, `written` of what writers' texts gave, for the report.
    """

    main: str
    measurements: tuple[Measurement, ...]
    timings: Mapping[str, Observed] = field(default_factory=dict)
    seconds: float = 0.0
    slices: tuple[Mapping[str, Any], ...] = ()
    seeds: tuple[Mapping[str, Any], ...] = ()
    benchmarks: tuple[Mapping[str, Any], ...] = ()
    written: Mapping[str, Any] = field(default_factory=dict)

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
    if writing.about(targets):
        found = writing.all_writers(spec, targets, folder, inputs, reporter)
        return Measured(
            main=main.checkpoint,
            measurements=found.measurements,
            seconds=found.seconds,
            written=found.written,
        )
    targets = [*targets, *_references(spec, targets, inputs)]
    on_splits = [target for target in targets if target.benchmark is None]
    on_data = [target for target in on_splits if target.data not in inputs.plan.corpora]
    kept = Taken(())
    timings: Mapping[str, Observed] = {}
    if on_data:
        kept, timings = _on_data(spec, on_data, produces, folder, inputs, reporter)
    on_corpora = [target for target in on_splits if target.data in inputs.plan.corpora]
    if on_corpora:
        kept = kept.joined(_on_corpora(on_corpora, folder, inputs, reporter))
    on_files = [target for target in targets if target.benchmark is not None]
    if on_files:
        kept = kept.joined(_on_files(on_files, folder, inputs, reporter))
    return Measured(
        main=main.checkpoint,
        measurements=kept.measurements,
        timings=timings,
        seconds=kept.seconds,
        slices=kept.slices,
        seeds=kept.seeds,
        benchmarks=kept.benchmarks,
    )


def _on_data(
    spec: StepSpec,
    targets: Sequence[Target],
    produces: frozenset[str],
    folder: Path,
    inputs: Inputs,
    reporter: Reporter,
) -> tuple[Taken, Mapping[str, Observed]]:
    """Quality and cost on splits of data sets, with the raw timings by checkpoint."""
    companions = companions_of(spec, targets, produces, inputs)
    place = folder / "measure" / items_key(targets, inputs)
    kept = once(
        place / f"quality-{digest(settings(inputs))[:12]}.json",
        lambda: all_quality(spec, targets, produces, place, inputs, reporter),
    )
    if not companions:
        return kept, {}
    place = folder / "measure" / cost_key(targets, companions, inputs)
    cost_kept = once(
        place / "cost.json", lambda: time_in_turns(companions, targets, place, inputs, reporter)
    )
    return kept.joined(cost_kept), cost.load_timings(place / "timings.json")


def _on_corpora(
    targets: Sequence[Target], folder: Path, inputs: Inputs, reporter: Reporter
) -> Taken:
    """What language models say of corpora; a reading of test is counted."""
    asked = [corpora.Asked.of(target, inputs) for target in targets]
    mark = [
        [one.target.checkpoint, one.target.data, one.target.split, one.place.name] for one in asked
    ]
    place = folder / "measure" / digest(mark)[:12]

    def take() -> Taken:
        count_reading(targets, place, inputs)
        return corpora.all_corpora(asked, inputs, reporter)

    return once(place / f"corpora-{digest(corpus_settings(inputs))[:12]}.json", take)


def _on_files(targets: Sequence[Target], folder: Path, inputs: Inputs, reporter: Reporter) -> Taken:
    """What language models say of published files; kept by what it rests on, see there."""
    asked = [Asked.of(target, inputs) for target in targets]
    mark = [[one.target.checkpoint, one.target.data, one.place.name] for one in asked]
    place = folder / "measure" / digest(mark)[:12]
    return once(
        place / f"benchmarks-{digest(settings(inputs))[:12]}.json",
        lambda: all_benchmarks(asked, inputs, reporter),
    )


def _references(spec: StepSpec, targets: Sequence[Target], inputs: Inputs) -> list[Target]:
    """What gates compare with and the step doesn't name, on the items of its main checkpoint."""
    here = {t.checkpoint for t in targets}
    names = [name for name in dict.fromkeys(referenced(spec, inputs)) if name not in here]
    main = targets[0] if targets[0].checkpoint == spec.id else targets[-1]
    like = {t.data: t for t in targets if t.checkpoint == main.checkpoint}.values()
    found = []
    for name in names:
        for target in like:
            if target.benchmark is not None:
                there = name in inputs.plan.models or name in inputs.checkpoints
            elif target.data in inputs.plan.corpora:
                there = not _measured_itself(name, target, inputs)
                there = there and corpora.obstacle(name, inputs) is None
            else:
                there = name in inputs.plan.models and inputs.obstacle(name, target.data) is None
            found += [replace(target, checkpoint=name)] if there else []
    return found


def _measured_itself(name: str, target: Target, inputs: Inputs) -> bool:
    """Whether the step that made a checkpoint was measured on the same documents."""
    steps = {spec.id: spec for spec in inputs.plan.steps}
    maker = steps.get(name.partition(".")[0])
    usual = (target.split, target.sample) == ("dev.gate", inputs.plan.measure.get("dev_sample"))
    return maker is not None and usual and target.data in maker.corpora
