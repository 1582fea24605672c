"""Items and quality: what the checkpoints say of every item of a split, and what that is worth."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradus import benchmarks, ledger
from gradus.benchmarks.parity import ParityBenchmark
from gradus.data.dataset import Dataset, Split
from gradus.measure import quality, slices
from gradus.metrics import lookup
from gradus.metrics.base import Items
from gradus.metrics.items import read_items, read_seen, write_items
from gradus.metrics.repeated import Repeated, Seen, kept
from gradus.records import Measurement, StepSpec
from gradus.runner.inputs import Inputs
from gradus.runner.keys import asked_of_slices, items_key
from gradus.runner.monitor import Reporter, counter
from gradus.runner.store import read_json, write_json
from gradus.runner.taken import Taken
from gradus.steps.base import Target


def split_of(dataset: Dataset, target: Target) -> Split:
    """The items that `target` asks for."""
    split = dataset.splits[target.split]
    if target.sample is not None and target.sample < len(split):
        return split.sample(target.sample)
    return split


def all_quality(
    spec: StepSpec,
    targets: Sequence[Target],
    produces: frozenset[str],
    place: Path,
    inputs: Inputs,
    reporter: Reporter,
) -> Taken:
    """The quality of every target, each on its own items; a reading of test is counted."""
    count_reading(targets, place, inputs)
    found = Taken(())
    for target in targets:
        found = found.joined(_quality(spec, target, produces, place, inputs, reporter))
    return found


def count_reading(targets: Sequence[Target], place: Path, inputs: Inputs) -> None:
    """Count one reading of each test split, for however many models.

    Its mark lies beside the items: a resumed pass finds it and counts once, a fresh one doesn't.
    """
    on_test = [t for t in targets if t.split == "test"]
    mark = place / "reading.json"
    if on_test and not mark.exists():
        write_json(mark, {"reading": uuid.uuid4().hex})
    for data in dict.fromkeys(t.data for t in on_test):
        ledger.read(
            inputs.split_digest(data, "test"),
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
) -> Taken:
    dataset = inputs.dataset(target.data)
    split = split_of(dataset, target)
    items = place / _items_file(target)
    if items.exists():
        seen, _ = read_seen(items)
    elif target.checkpoint in inputs.seeds:
        seen = _of_seeds(spec, target, place, inputs, reporter)
        write_items(items, seen, split.texts)
    else:
        seen = _of_one(target, _parent(spec, target, produces, inputs), items, inputs, reporter)
    contract = dict(inputs.predictor(target.checkpoint).contract)
    if len(split) < len(dataset.splits[target.split]):
        contract["sample"] = f"{len(split)} of {len(dataset.splits[target.split])}"
    common = {
        "data": target.data,
        "split": target.split,
        "checkpoint": target.checkpoint,
        "contract": contract,
        "items": inputs.folder.relative(items),
    }
    settings: dict[str, Any] = {
        "level": float(inputs.plan.measure["level"]),
        "draws": int(inputs.plan.measure["bootstrap"]),
        "seed": inputs.plan.seed,
        "scores": inputs.scores,
    }
    whole = quality.measurements(seen, common=common, **settings)
    by_slice, told = _by_slice(seen, dataset, split, common, settings, inputs)
    seeds = quality.of_seeds(seen, inputs.scores) if isinstance(seen, Repeated) else []
    about = {name: common[name] for name in ("checkpoint", "data", "split")}
    return Taken((*whole, *by_slice), tuple(told), tuple({**about, **row} for row in seeds))


def _items_file(target: Target) -> str:
    return f"{target.checkpoint}.{target.data}.{target.split}.parquet"


def _of_one(
    target: Target, parent: str | None, items: Path, inputs: Inputs, reporter: Reporter
) -> Items:
    """What one checkpoint predicts, with its parent's predictions where there is one; kept."""
    if items.exists():
        return read_items(items)[0]
    dataset = inputs.dataset(target.data)
    split = split_of(dataset, target)
    text = f"{target.checkpoint} on {target.data}.{target.split}"
    seen = quality.predictions(
        inputs.predictor(target.checkpoint).predictor,
        split,
        dataset.labels,
        target=dataset.target,
        progress=counter(reporter, len(split), text),
    )
    if parent is not None and dataset.target == "label":
        theirs = quality.predictions(inputs.predictor(parent).predictor, split, dataset.labels)
        seen = quality.with_parent(seen, theirs)
    write_items(items, seen, split.texts)
    return seen


def _of_seeds(
    spec: StepSpec, target: Target, place: Path, inputs: Inputs, reporter: Reporter
) -> Repeated:
    """What each seed of a repeated step predicts.

    Each seed's items are kept by themselves, after its own step beside the seed's checkpoint, so
    that more seeds later don't predict these again.
    """
    seeds = inputs.seeds[target.checkpoint]
    runs = []
    for name, home in zip(seeds.names, seeds.places, strict=True):
        own = replace(target, checkpoint=name)
        if target.checkpoint == spec.id:
            folder = home / "measure" / items_key([own], inputs)
        else:
            folder = place
        runs.append(_of_one(own, None, folder / _items_file(own), inputs, reporter))
    return Repeated(tuple(runs), seeds.chosen)


def _by_slice(
    seen: Seen,
    dataset: Dataset,
    split: Split,
    common: Mapping[str, Any],
    settings: Mapping[str, Any],
    inputs: Inputs,
) -> tuple[list[Measurement], list[dict[str, Any]]]:
    """The benchmark's first metric, and what gates ask for, on each slice of the items."""
    by = slices.members(inputs.plan.measure.get("slices", ()), dataset, split)
    if not by:
        return [], []
    benchmark = benchmarks.of(dataset.target)
    known = {*benchmark.metrics, *inputs.scores.on(dataset.target, dataset.labels)}
    asked = [
        text
        for text in asked_of_slices(inputs)
        if lookup(text)[0] in known and lookup(text)[1] in (None, *dataset.labels)
    ]
    return slices.broken_down(
        seen,
        by,
        list(dict.fromkeys([benchmark.compared[0], *asked])),
        least=int(inputs.plan.measure["slice_least"]),
        common={"benchmark": benchmark.name, **common},
        **settings,
    )


def _parent(spec: StepSpec, target: Target, produces: frozenset[str], inputs: Inputs) -> str | None:
    """The checkpoint whose parity with the step's own is asked for."""
    wants = set(ParityBenchmark.metrics) & produces
    if not wants or target.checkpoint != spec.id or not spec.models:
        return None
    return spec.models[0]


def predictions_of(measured: Sequence[Measurement], inputs: Inputs) -> Seen | None:
    """The items behind measurements of one checkpoint on one split; None where none are kept."""
    for measurement in measured:
        if measurement.items is not None:
            return read_seen(inputs.folder.path / measurement.items)[0]
    return None


def slice_of(seen: Seen, by: str, name: str, measured: Measurement, inputs: Inputs) -> Seen:
    """The items of one slice of the data that `measured` was taken on."""
    dataset = inputs.dataset(measured.data)
    split = dataset.splits[measured.split]
    row = {item: i for i, item in enumerate(split.ids)}
    split = split.take([row[item] for item in seen.ids])
    of = slices.members(inputs.plan.measure["slices"], dataset, split)[by]
    return kept(seen, slices.rows(of, name))
