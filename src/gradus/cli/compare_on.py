"""What ``--on`` of `gradus compare` names: a split, a file, a benchmark, or what the runs keep."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradus.cli.compare_models import Model
from gradus.cli.compare_places import FORMS, BenchmarkPlace, DataPlace, KeptPlace, Place
from gradus.errors import UsageError, unknown

if TYPE_CHECKING:
    from gradus.data.dataset import Dataset, Split

_PLAN: Final = re.compile(r"(?P<plan>.+\.ya?ml):(?P<on>.+)")


def places(
    asked: Sequence[str],
    models: Sequence[Model],
    *,
    text: str | None = None,
    label: str | None = None,
    limit: int | None = None,
) -> list[Place]:
    """What ``--on`` names or, without it, every place of which all models keep items.

    Args:
        asked: the values of ``--on``.
        models: what is compared.
        text: the field of the text, in files.
        label: the field of the label, in files.
        limit: at most so many items of each, for what is measured anew.

    Raises:
        UsageError: one of them is nothing that models can be held to.
        DataError, SourceError: the data can't be read.
    """
    if asked:
        return [_place(on, models, text, label, limit) for on in asked]
    lacking = [m.text for m in models if not m.kept and m.file is None]
    if lacking:
        raise UsageError(f"{lacking[0]} keeps no items: say what to measure on, --on {FORMS}")
    of_runs = [{kept.place for kept in m.kept} for m in models if m.kept]
    if not of_runs:
        return [KeptPlace("items")]
    shared = [k.place for k in next(m for m in models if m.kept).kept]
    found = [name for name in dict.fromkeys(shared) if all(name in of for of in of_runs)]
    if not found:
        raise UsageError("the models keep no items of the same place: measure them with --on")
    loose = any(m.file is not None and not m.kept for m in models)
    # An item file of no run belongs to one place; which, its items will show.
    return [KeptPlace(name) for name in (found[:1] if loose else found)]


def _place(
    on: str, models: Sequence[Model], text: str | None, label: str | None, limit: int | None
) -> Place:
    benchmark = _benchmark(on, limit)
    if benchmark is not None:
        return benchmark
    of_plan = _PLAN.fullmatch(on)
    if of_plan and not Path(on).exists():
        return _of_plan(of_plan["plan"], of_plan["on"], limit)
    whole, split = _split_of(on)
    spec = _source(whole)
    if spec is not None:
        return _of_source(on, whole, spec, split, text, label, limit)
    wanted = on if split else f"{on}.dev.gate"
    kept = {kept.place for model in models for kept in model.kept}
    for name in (on, wanted):
        if name in kept:
            return KeptPlace(name)
    near = f" ({unknown('place', on, kept)})" if kept else ""
    raise UsageError(f"--on {on}: not one of {FORMS}{near}")


def _benchmark(on: str, limit: int | None) -> BenchmarkPlace | None:
    """``NAME=PATH`` or ``NAME={path: PATH, ...}``, or ``KIND:TASK`` of a kind of the catalog."""
    from gradus import registry
    from gradus.benchmarks import named
    from gradus.cli.evaluate import entry

    known = {registry.plain(v) for v in registry.names("benchmarks")}
    name, equals, _ = on.partition("=")
    if Path(on).exists() or not ((equals and "/" not in name) or on.partition(":")[0] in known):
        return None
    found = named.read(entry(on))
    found.load()
    if limit is not None:
        found = named.Named(found.name, found.kind, {**found.options, "limit": limit})
    return BenchmarkPlace(found.name, found)


def _split_of(on: str) -> tuple[str, str]:
    """What comes before ``.test`` or its like, and the split; a whole path has none."""
    from gradus.steps.evaluate import MEASURED_SPLITS

    if not Path(on).exists():
        for split in MEASURED_SPLITS:
            if on.endswith(f".{split}"):
                return on.removesuffix(f".{split}"), split
    return on, ""


def _source(text: str) -> Mapping[str, str] | None:
    from gradus import sources
    from gradus.sources.lookup import kinds

    if Path(text).expanduser().exists() or text.partition(":")[0] in kinds():
        return sources.parse(text)
    return None


def _of_plan(plan_path: str, on: str, limit: int | None) -> DataPlace:
    from gradus.data.load import load_dataset
    from gradus.plan import load_plan
    from gradus.steps.evaluate import split_name

    plan = load_plan(Path(plan_path))
    try:
        name, split = split_name(on)
    except ValueError as error:
        raise UsageError(f"--on {plan_path}:{error}") from error
    if name not in plan.data:
        raise UsageError(f"{plan_path}: {unknown('data set', name, plan.data)}")
    dataset = load_dataset(name, plan.data[name], folder=Path(plan.folder), seed=plan.seed)
    return _data_place(f"{name}.{split}", dataset, split, limit)


def _of_source(
    on: str,
    whole: str,
    spec: Mapping[str, str],
    split: str,
    text: str | None,
    label: str | None,
    limit: int | None,
) -> DataPlace:
    """A split of a source that is parted as a plan would, or all of it."""
    from gradus.data.load import load_dataset

    config: dict[str, Any] = {"source": dict(spec)}
    columns = {key: value for key, value in (("text", text), ("label", label)) if value}
    if columns:
        config["columns"] = columns
    name = Path(whole.rpartition(":")[2]).stem
    if split:
        dataset = load_dataset(name, config, folder=Path.cwd(), seed=0)
        return _data_place(f"{name}.{split}", dataset, split, limit)
    # Parted in two and put together again: a data set has no other way to be one piece.
    halves = {"split": {"train": 0.5, "dev": 0.5, "test": 0.0, "stratify": True}, "dev": "joined"}
    dataset = load_dataset(name, {**config, **halves}, folder=Path.cwd(), seed=0)
    rows = _joined(dataset.splits["train"], dataset.splits["dev.select"])
    return _sampled(DataPlace(on, dataset, rows, "", len(rows)), limit)


def _joined(first: Split, second: Split) -> Split:
    import numpy as np

    from gradus.data.dataset import Split

    words = None
    if first.words is not None and second.words is not None:
        words = [*first.words, *second.words]
    return Split(
        texts=[*first.texts, *second.texts],
        labels=np.concatenate([first.labels, second.labels]),
        ids=[*first.ids, *second.ids],
        words=words,
    )


def _data_place(name: str, dataset: Dataset, split: str, limit: int | None) -> DataPlace:
    if split not in dataset.splits:
        raise UsageError(f"{dataset.name} has no split {split}: {', '.join(dataset.splits)}")
    rows = dataset.splits[split]
    return _sampled(DataPlace(name, dataset, rows, split, len(rows)), limit)


def _sampled(place: DataPlace, limit: int | None) -> DataPlace:
    if limit is None or limit >= len(place.split):
        return place
    return DataPlace(place.name, place.dataset, place.split.sample(limit), place.at, place.whole)
