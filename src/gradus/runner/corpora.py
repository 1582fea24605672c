"""Measuring language models on splits of corpora: each is asked once, and what it said is kept.

Kept in the run folder under ``benchmarks/KEY``, as with benchmarks on published files; KEY covers
the benchmark with its window and stride, the digests of split and checkpoint, how many documents
are asked about, dtype, threads and versions.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gradus import gates
from gradus.benchmarks.corpus import CorpusBenchmark
from gradus.benchmarks.masked import MaskedBenchmark
from gradus.benchmarks.unlabelled import CorpusItems, CorpusTask
from gradus.checkpoints import is_checkpoint, read_manifest
from gradus.errors import CheckpointError
from gradus.measure import quality, slices
from gradus.metrics import lookup
from gradus.metrics.items import read_items, read_seen, write_items
from gradus.metrics.repeated import Repeated, Seen
from gradus.predict.outputs import target_of
from gradus.records import CheckpointRef
from gradus.runner.benchmarking import Session
from gradus.runner.fingerprint import digest
from gradus.runner.inputs import Inputs
from gradus.runner.keys import asked_of_slices, digests, environment
from gradus.runner.monitor import Reporter, counter
from gradus.runner.store import read_json, write_json
from gradus.runner.taken import Taken
from gradus.steps.base import Target

ITEMS, MEMBERS, TAKEN = "items.parquet", "members.json", "taken.json"
TASKS: tuple[type[CorpusTask], ...] = (CorpusBenchmark, MaskedBenchmark)
_KIND = "a language model that goes on with texts (causal) or fills their gaps (masked)"


def task_of(ref: CheckpointRef) -> type[CorpusTask] | None:
    """What a checkpoint is measured by on a corpus; None where it isn't a language model's."""
    from gradus.scoring.load import READABLE, is_masked

    if ref.kind not in READABLE:
        return None
    asks = "masked" if is_masked(ref) else "text"
    if is_checkpoint(Path(ref.path)):
        asks = target_of(read_manifest(Path(ref.path)).preprocessing)
    elif ref.labels:
        return None
    return next((task for task in TASKS if task.asks == asks), None)


def obstacle(name: str, inputs: Inputs) -> str | None:
    """Why the checkpoint of that name can't be measured on a corpus; None when it can."""
    if name not in inputs.checkpoints and name not in inputs.plan.models:
        return f"'{name}' has made no checkpoint"
    if task_of(_weights(name, inputs)) is None:
        return f"'{name}' isn't {_KIND}"
    return None


def _weights(name: str, inputs: Inputs) -> CheckpointRef:
    """The weights behind a name; a prompt stands for the model that it asks."""
    from gradus.scoring.load import find

    return find(inputs.checkpoint(name))


@dataclass
class Asked:
    """One checkpoint on one split of a corpus.

    Attributes:
        target: what the step asks for.
        task: how it is asked.
        ref: the checkpoint.
        dtype: arithmetic of the model.
        place: where what the model says is kept.
    """

    target: Target
    task: type[CorpusTask]
    ref: CheckpointRef
    dtype: str
    place: Path

    @classmethod
    def of(cls, target: Target, inputs: Inputs) -> Asked:
        """What a target on a corpus asks for.

        Raises:
            CheckpointError: the checkpoint isn't a language model's.
        """
        ref = _weights(target.checkpoint, inputs)
        task = task_of(ref)
        if task is None:
            raise CheckpointError(
                f"'{target.checkpoint}' can't be measured on the corpus '{target.data}': it isn't "
                f"{_KIND}"
            )
        settings = inputs.plan.measure
        dtype = target.dtype or str(settings["dtype"])
        mark = {
            "benchmark": task.name,
            "windows": [settings.get("window"), settings.get("stride")],
            "split": inputs.corpus(target.data).split_digests[target.split],
            "sample": target.sample,
            "checkpoint": [ref.kind, digests(target.checkpoint, inputs)],
            "dtype": dtype,
            **environment(),
        }
        place = inputs.folder.path / "benchmarks" / digest(mark)[:16]
        return cls(target, task, ref, dtype, place)

    @property
    def done(self) -> bool:
        """Whether the model has been asked everything."""
        return (self.place / TAKEN).exists()

    def singles(self, inputs: Inputs) -> list[Asked]:
        """Each seed's checkpoint for itself where a step was repeated; else this one alone."""
        seeds = inputs.seeds.get(self.target.checkpoint)
        if seeds is None:
            return [self]
        return [Asked.of(replace(self.target, checkpoint=name), inputs) for name in seeds.names]

    def items(self, inputs: Inputs) -> CorpusItems:
        """The items that are asked about."""
        documents = inputs.corpus(self.target.data).splits[self.target.split]
        return CorpusItems.of(documents, self.target.sample)


def all_corpora(asked: Sequence[Asked], inputs: Inputs, reporter: Reporter) -> Taken:
    """The measurements of every checkpoint on every corpus, in their order."""
    session = Session(inputs, reporter)
    singles = [single for one in asked for single in one.singles(inputs)]
    order = list(dict.fromkeys(one.target.checkpoint for one in singles))
    for one in sorted(singles, key=lambda one: order.index(one.target.checkpoint)):
        if not one.done:
            _ask(one, session)
    found = Taken(())
    for one in asked:
        if not one.done:
            _put_together(one, inputs)
        found = found.joined(_measured(one, inputs))
    return found


def _ask(asked: Asked, session: Session) -> None:
    """Ask the model everything that isn't in the journal, and keep what it said."""
    inputs, target = session.inputs, asked.target
    items = asked.items(inputs)
    engine: Any = session.engine(asked)
    asked.place.mkdir(parents=True, exist_ok=True)
    journal = asked.place / "journal.jsonl"
    text = f"{target.checkpoint} on {target.data}.{target.split}"
    if journal.exists():
        session.reporter.note(f"{text}: going on where it was interrupted")
    settings = inputs.plan.measure
    windows = {"window": settings.get("window"), "stride": settings.get("stride")}
    start, before = time.perf_counter(), engine.tokens_seen
    said = asked.task.ask(
        items,
        engine,
        **windows,
        journal=journal,
        progress=counter(session.reporter, len(items.documents), text),
    )
    seconds = time.perf_counter() - start
    write_items(asked.place / ITEMS, said, items.shown())
    write_json(asked.place / MEMBERS, items.members())
    kept = {
        "contract": asked.task.contract(items, engine, **windows),
        "documents": len(items.documents),
        "items": len(said),
        "seconds": seconds,
        "tokens": engine.tokens_seen - before,
    }
    write_json(asked.place / TAKEN, kept)
    journal.unlink(missing_ok=True)


def _put_together(asked: Asked, inputs: Inputs) -> None:
    """What every seed of a repeated step said, in one item file."""
    places = [single.place for single in asked.singles(inputs)]
    said, texts = read_items(places[0] / ITEMS)
    rest = [read_items(place / ITEMS)[0] for place in places[1:]]
    chosen = inputs.seeds[asked.target.checkpoint].chosen
    asked.place.mkdir(parents=True, exist_ok=True)
    write_items(asked.place / ITEMS, Repeated((said, *rest), chosen), texts)
    for name in (MEMBERS, TAKEN):  # what says that it is done comes last
        write_json(asked.place / name, read_json(places[0] / name))


def members(items: Path) -> dict[str, list[str | None]]:
    """For each slicing the slice of each item of an item file of a corpus."""
    found: dict[str, list[str | None]] = read_json(items.with_name(MEMBERS))
    return found


def _measured(asked: Asked, inputs: Inputs) -> Taken:
    kept = read_json(asked.place / TAKEN)
    items, target = asked.place / ITEMS, asked.target
    contract = dict(kept["contract"])
    whole = len(inputs.corpus(target.data).splits[target.split])
    if kept["documents"] < whole:
        contract["sample"] = f"{kept['documents']} of {whole}"
    common: Mapping[str, Any] = {
        "data": target.data,
        "split": target.split,
        "benchmark": asked.task.name,
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
    said = read_seen(items)[0]
    found = quality.measurements(said, common=common, benchmark=asked.task, **settings)
    by_slice, told = _by_slice(said, members(items), asked.task, common, settings, inputs)
    about = {name: common[name] for name in ("checkpoint", "data", "split")}
    seeds: list[dict[str, Any]] = []
    if isinstance(said, Repeated):
        seeds = quality.of_seeds(said, inputs.scores, asked.task)
    return Taken((*found, *by_slice), tuple(told), tuple({**about, **row} for row in seeds))


def _by_slice(
    said: Seen,
    by: Mapping[str, Sequence[str | None]],
    task: type[CorpusTask],
    common: Mapping[str, Any],
    settings: Mapping[str, Any],
    inputs: Inputs,
) -> tuple[list[Any], list[dict[str, Any]]]:
    """The task's first metric, and what gates ask for, by domain and language.

    Where all items are of one domain there is nothing to break down, unless a gate asks for it.
    """
    asked = [text for text in asked_of_slices(inputs) if lookup(text)[0] in task.metrics]
    texts = [text for spec in inputs.plan.steps for text in spec.gates]
    named = [gates.parse(text, scores=inputs.scores.own).slice for text in texts]
    wanted = {of[0] for of in named if of is not None}
    parted = {name: of for name, of in by.items() if len(set(of)) > 1 or name in wanted}
    if not parted:
        return [], []
    return slices.broken_down(
        said,
        parted,
        list(dict.fromkeys([task.compared[0], *asked])),
        least=int(inputs.plan.measure["slice_least"]),
        common=common,
        **settings,
    )
