"""Taking the measurements of a step, once, and finding them again on a later run."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gradus import gates, hardware, ledger
from gradus.benchmarks.cost import CostBenchmark
from gradus.benchmarks.parity import ParityBenchmark
from gradus.data.dataset import Dataset, Split
from gradus.measure import cost, quality
from gradus.metrics.base import Items, Observed
from gradus.metrics.items import read_items, write_items
from gradus.records import Measurement, StepSpec
from gradus.runner.fingerprint import digest
from gradus.runner.inputs import Inputs
from gradus.runner.monitor import Reporter, counter
from gradus.runner.store import read_json, write_json
from gradus.steps.base import Target

PREDICTING_TEXTS = 32


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured after one step.

    `timings` holds the raw timings by checkpoint, of all that took turns; `main` is the checkpoint
    that the step's gates are about; `seconds` is how long measuring took, when it was done.
    """

    main: str
    measurements: tuple[Measurement, ...]
    timings: Mapping[str, Observed] = field(default_factory=dict)
    seconds: float = 0.0

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
    companions = _companions(spec, targets, produces, inputs)
    place = folder / "measure" / _items_key(targets, inputs)
    settings = {name: inputs.plan.measure[name] for name in ("level", "bootstrap")}
    kept = _once(
        place / f"quality-{digest(settings)[:12]}.json",
        lambda: _all_quality(spec, targets, produces, place, inputs, reporter),
    )
    timings = {}
    if companions:
        place = folder / "measure" / _cost_key(targets, companions, inputs)
        cost_kept = _once(
            place / "cost.json", lambda: _cost(companions, targets, place, inputs, reporter)
        )
        kept = (kept[0] + cost_kept[0], [*kept[1], *cost_kept[1]])
        timings = cost.load_timings(place / "timings.json")
    return Measured(
        main=main.checkpoint, measurements=tuple(kept[1]), seconds=kept[0], timings=timings
    )


def _once(done: Path, work: Callable[[], list[Measurement]]) -> tuple[float, list[Measurement]]:
    """Seconds and measurements: those in the file, or what `work` gives, kept there."""
    if not done.exists():
        start = time.perf_counter()
        found = [m.to_json() for m in work()]
        write_json(done, {"seconds": time.perf_counter() - start, "measurements": found})
    kept = read_json(done)
    return kept["seconds"], [Measurement.from_json(m) for m in kept["measurements"]]


def _references(
    spec: StepSpec, targets: Sequence[Target], main: Target, inputs: Inputs
) -> list[Target]:
    """The plan's models that gates compare with, on the items of the step's main checkpoint."""
    here = {t.checkpoint for t in targets}
    names = dict.fromkeys(_referenced(spec))
    return [
        replace(main, checkpoint=name)
        for name in names
        if name not in here
        and name in inputs.plan.models
        and inputs.obstacle(name, main.data) is None
    ]


def _referenced(spec: StepSpec, only: Sequence[str] | None = None) -> list[str]:
    """The checkpoints that the step's gates (on the metrics `only`) compare with."""
    parsed = [gates.parse(text) for text in spec.gates]
    return [
        spec.models[0] if gate.reference == "parent" else gate.reference
        for gate in parsed
        if gate.reference is not None and (only is None or gate.metric in only)
    ]


def _items_key(targets: Sequence[Target], inputs: Inputs) -> str:
    """What the items depend on beyond the step itself."""
    return digest(
        {
            "dtype": inputs.plan.measure["dtype"],
            "targets": [
                [
                    t.checkpoint,
                    inputs.checkpoint(t.checkpoint).digest,
                    t.data,
                    t.split,
                    t.sample,
                    inputs.dataset(t.data).split_digests.get(t.split),
                ]
                for t in targets
            ],
            **_environment(),
        }
    )[:12]


def _cost_key(targets: Sequence[Target], companions: Sequence[str], inputs: Inputs) -> str:
    """What timings depend on beyond the step itself."""
    return digest(
        {
            "settings": inputs.plan.measure,
            "targets": [t.checkpoint for t in targets],
            "texts": [targets[0].data, targets[0].split, targets[0].sample],
            "split": inputs.dataset(targets[0].data).split_digests.get(targets[0].split),
            "companions": [[c, inputs.checkpoint(c).digest] for c in companions],
            **_environment(),
        }
    )[:12]


def _environment() -> dict[str, Any]:
    return {
        "versions": [hardware.version(n) for n in ("gradus-lm", "torch", "transformers")],
        "threads": hardware.threads(),
    }


def split_of(dataset: Dataset, target: Target) -> Split:
    """The items that `target` asks for."""
    split = dataset.splits[target.split]
    if target.sample is not None and target.sample < len(split):
        return split.sample(target.sample)
    return split


def _all_quality(
    spec: StepSpec,
    targets: Sequence[Target],
    produces: frozenset[str],
    place: Path,
    inputs: Inputs,
    reporter: Reporter,
) -> list[Measurement]:
    _count_reading(targets, place, inputs)
    return [
        m for target in targets for m in _quality(spec, target, produces, place, inputs, reporter)
    ]


def _count_reading(targets: Sequence[Target], place: Path, inputs: Inputs) -> None:
    """Count one reading of each test split, for however many models.

    Its mark lies beside the items: a resumed pass finds it and counts once, a fresh one doesn't.
    """
    on_test = [t for t in targets if t.split == "test"]
    mark = place / "reading.json"
    if on_test and not mark.exists():
        write_json(mark, {"reading": uuid.uuid4().hex})
    for data in dict.fromkeys(t.data for t in on_test):
        ledger.read(
            inputs.dataset(data).split_digests["test"],
            data=data,
            run=str(inputs.folder.path),
            reading=str(read_json(mark)["reading"]),
            models=[t.checkpoint for t in on_test if t.data == data],
        )


def _quality(
    spec: StepSpec,
    target: Target,
    produces: frozenset[str],
    place: Path,
    inputs: Inputs,
    reporter: Reporter,
) -> list[Measurement]:
    dataset = inputs.dataset(target.data)
    split = split_of(dataset, target)
    model = inputs.predictor(target.checkpoint)
    items = place / f"{target.checkpoint}.{target.data}.{target.split}.parquet"
    if items.exists():
        seen, _ = read_items(items)
    else:
        text = f"{target.checkpoint} on {target.data}.{target.split}"
        seen = quality.predictions(
            model.predictor,
            split,
            dataset.labels,
            target=dataset.target,
            progress=counter(reporter, len(split), text),
        )
        parent = _parent(spec, target, produces, inputs)
        if parent is not None and dataset.target == "label":
            theirs = quality.predictions(inputs.predictor(parent).predictor, split, dataset.labels)
            seen = quality.with_parent(seen, theirs)
        write_items(items, seen, split.texts)
    contract = dict(model.contract)
    if len(split) < len(dataset.splits[target.split]):
        contract["sample"] = f"{len(split)} of {len(dataset.splits[target.split])}"
    return quality.measurements(
        seen,
        common={
            "data": target.data,
            "split": target.split,
            "checkpoint": target.checkpoint,
            "contract": contract,
            "items": inputs.folder.relative(items),
        },
        level=float(inputs.plan.measure["level"]),
        draws=int(inputs.plan.measure["bootstrap"]),
        seed=inputs.plan.seed,
    )


def _parent(spec: StepSpec, target: Target, produces: frozenset[str], inputs: Inputs) -> str | None:
    """The checkpoint whose parity with the step's own is asked for."""
    wants = set(ParityBenchmark.metrics) & produces
    if not wants or target.checkpoint != spec.id or not spec.models:
        return None
    return spec.models[0]


def _companions(
    spec: StepSpec, targets: Sequence[Target], produces: frozenset[str], inputs: Inputs
) -> list[str]:
    """The checkpoints that take turns on the clock: those measured, then whom gates name."""
    if not inputs.plan.measure["cost"] or not set(CostBenchmark.metrics) & produces:
        return []
    names = list(dict.fromkeys(t.checkpoint for t in targets))
    if spec.id in names:
        names = [spec.id]
        names += [m for m in spec.models if m in inputs.checkpoints]
    names += [
        name
        for name in _referenced(spec, CostBenchmark.metrics)
        if name in inputs.checkpoints or inputs.obstacle(name, targets[0].data) is None
    ]
    return list(dict.fromkeys(names))


def _cost(
    names: Sequence[str],
    targets: Sequence[Target],
    place: Path,
    inputs: Inputs,
    reporter: Reporter,
) -> list[Measurement]:
    settings = inputs.plan.measure
    target = targets[0]
    texts = (
        split_of(inputs.dataset(target.data), target).sample(int(settings["latency_texts"])).texts
    )
    reporter.note(f"timing {', '.join(names)} in turns")
    models = {name: inputs.predictor(name) for name in names}
    observed = cost.observe(
        {name: model.predictor for name, model in models.items()},
        texts,
        repeats=int(settings["latency_repeats"]),
        memory_mb={name: _memory(name, texts, inputs) for name in names},
    )
    cost.save_timings(place / "timings.json", observed)
    measured = {t.checkpoint for t in targets}
    found: list[Measurement] = []
    for name in names:
        if name in measured:
            found += cost.measurements(
                observed[name],
                common=_cost_fields(name, target, models[name].contract, len(texts)),
                level=float(settings["level"]),
                seed=inputs.plan.seed,
            )
    return found


def _cost_fields(
    name: str, target: Target, contract: Mapping[str, str], texts: int
) -> dict[str, Any]:
    return {
        "data": target.data,
        "split": target.split,
        "checkpoint": name,
        "contract": {**contract, "threads": str(hardware.threads()), "texts": str(texts)},
    }


def _memory(name: str, texts: Sequence[str], inputs: Inputs) -> float:
    """Peak memory of predicting, measured once for each checkpoint and kept in the run folder."""
    ref = inputs.checkpoint(name)
    dtype = str(inputs.plan.measure["dtype"])
    sample = list(texts[:PREDICTING_TEXTS])
    place = inputs.folder.path / "memory" / f"{digest([ref.digest, dtype, sample])[:16]}.json"
    if not place.exists():
        write_json(place, {"mb": cost.peak_memory(Path(ref.path), sample, dtype=dtype)})
    return float(read_json(place)["mb"])


def predictions_of(measured: Sequence[Measurement], inputs: Inputs) -> Items | None:
    """The items behind measurements of one checkpoint on one split; None where none are kept."""
    for measurement in measured:
        if measurement.items is not None:
            return read_items(inputs.folder.path / measurement.items)[0]
    return None
