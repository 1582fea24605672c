"""What `gradus compare` is given: models, steps of runs and item files, and where they are held."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradus.errors import UsageError, unknown

if TYPE_CHECKING:
    from gradus.records import CheckpointRef, Measurement, RunRecord

_NAMED: Final = re.compile(r"(?P<name>[\w.+-]+)=(?P<rest>.+)", re.DOTALL)
_ITEMS: Final = ".parquet"


@dataclass(frozen=True, slots=True)
class Kept:
    """Items that a run keeps: the measurements taken from them, and their file."""

    file: Path
    measurements: tuple[Measurement, ...]

    @property
    def place(self) -> str:
        """As gates write it, ``data.split``."""
        first = self.measurements[0]
        return ".".join(part for part in (first.data, first.split) if part)

    @property
    def common(self) -> dict[str, Any]:
        """What all measurements of the file are recorded with."""
        first = self.measurements[0]
        names = ("data", "split", "benchmark", "contract", "checkpoint")
        return {**{name: getattr(first, name) for name in names}, "items": str(self.file)}


@dataclass(frozen=True, slots=True)
class Model:
    """One thing to compare.

    Attributes:
        name: what it is called in the comparison.
        text: as it was given.
        weights: what can be asked anew; None for an item file.
        kept: items that are there already.
        cost: what its step says that training took.
        scores: the plan's own metrics, where it is a run's.
    """

    name: str
    text: str
    weights: CheckpointRef | None = None
    kept: tuple[Kept, ...] = ()
    cost: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None


def models(texts: Sequence[str], runs_dir: Path) -> list[Model]:
    """What the texts stand for, each under a name of its own.

    Raises:
        UsageError: one of them stands for nothing.
        SourceError: there are no weights where it points.
    """
    found = [_model(text, runs_dir) for text in texts]
    short = [model.name for model in found]
    return [
        model if short.count(model.name) == 1 else replace(model, name=model.text)
        for model in found
    ]


def _model(text: str, runs_dir: Path) -> Model:
    named = _NAMED.fullmatch(text)
    if named and not Path(text).exists():
        return replace(_unnamed(named["rest"], runs_dir), name=named["name"])
    return _unnamed(text, runs_dir)


def _unnamed(text: str, runs_dir: Path) -> Model:
    from gradus import sources
    from gradus.sources.lookup import kinds
    from gradus.sources.names import weights

    path = Path(text).expanduser()
    if path.suffix == _ITEMS and path.is_file():
        return Model(path.stem, text, kept=tuple(_kept_in(path)), file=path)
    run, colon, step = text.rpartition(":")
    if colon and not path.exists() and text.partition(":")[0] not in kinds():
        return _step(text, run, step, runs_dir)
    spec = weights(text)
    ref = sources.locate_weights(_called(spec), spec, Path.cwd())
    return Model(ref.name, text, weights=ref)


def _called(spec: Mapping[str, str]) -> str:
    """A short name for a source; that of the step for a checkpoint's own folder."""
    where = next(iter(spec.values()))
    parts = [part for part in re.split(r"[/\\]", where) if part]
    if "folder" in spec and parts[-1:] == ["checkpoint"] and "steps" in parts[:-1]:
        return parts[parts.index("steps") + 1]
    return parts[-1] if parts else where


def _step(text: str, run: str, step: str, runs_dir: Path) -> Model:
    """A step of a run, one of its further checkpoints, as ``floor.majority``, or its models."""
    from gradus.checkpoints import open_checkpoint
    from gradus.cli.view import find_run
    from gradus.records import CheckpointRef

    folder, record = find_run(run, runs_dir)
    places = _checkpoints(record)
    kept = tuple(_kept_of(record, folder.path, step))
    known = [*places, *record.models]
    if step not in known and not kept:
        raise UsageError(f"{text}: {unknown('step', step, known)} (in the run {run})")
    weights = None
    if step in record.models:
        weights = CheckpointRef.from_json(record.models[step])
    if step in places:
        weights = open_checkpoint(folder.path / places[step], name=step, origin={"step": step})
    steps = {one.id: one for one in record.steps}
    cost = steps[step].cost if step in steps else {}
    return Model(step, text, weights, kept, cost, _scores(folder.path))


def _checkpoints(record: RunRecord) -> dict[str, str]:
    """Name -> folder, relative to the run, of everything its steps have made."""
    found = {}
    for step in record.steps:
        if step.checkpoint is not None:
            found[step.id] = step.checkpoint
        found |= {f"{step.id}.{name}": path for name, path in step.checkpoints.items()}
    return found


def _kept_of(record: RunRecord, folder: Path, name: str) -> Iterator[Kept]:
    """The item files of one checkpoint of a run, those of data sets before benchmarks."""
    by_file: dict[str, list[Measurement]] = {}
    for step in record.steps:
        for m in step.measurements:
            if m.checkpoint == name and m.items is not None and "{" not in m.metric:
                by_file.setdefault(m.items, []).append(m)
    for file, measured in by_file.items():
        if (folder / file).is_file():
            yield Kept(folder / file, tuple(measured))


def _kept_in(file: Path) -> Iterator[Kept]:
    """What the run says of an item file that lies in its folder; nothing for any other file."""
    from gradus.runner.store import RunFolder

    whole = file.resolve()
    for above in whole.parents:
        record = RunFolder(above).load()
        if record is None:
            continue
        inside = whole.relative_to(above).as_posix()
        taken = [m for step in record.steps for m in step.measurements]
        found = tuple(m for m in taken if m.items == inside and "{" not in m.metric)
        if found:
            yield Kept(file, found)
        return


def _scores(run: Path) -> Mapping[str, Any]:
    """The ``scores:`` of a run's plan."""
    import yaml

    path = run / "plan.resolved.yaml"
    if not path.exists():
        return {}
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = raw.get("scores") if isinstance(raw, dict) else None
    return found if isinstance(found, dict) else {}
