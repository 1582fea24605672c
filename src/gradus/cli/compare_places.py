"""Where `gradus compare` holds its models: kept items, splits of data, benchmarks on files."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradus.cli.compare_models import Kept, Model
from gradus.errors import ContractError, DataError, UsageError

if TYPE_CHECKING:
    from gradus.benchmarks.named import Named
    from gradus.data.dataset import Dataset, Split
    from gradus.measure.compare import Contender
    from gradus.predict import Model as Opened
    from gradus.scoring.records import Engine

Progress = Callable[[float, float, str], None]

FORMS: Final = (
    "PLAN.yaml:DATA[.SPLIT], a file or folder of labelled texts (all of it, or FILE.test), "
    "BENCHMARK=PATH, or DATA[.SPLIT] as the runs keep it"
)


@dataclass
class Asked:
    """A model that is asked anew; loaded when it first has to be.

    Attributes:
        model: which.
        dtype: what it computes in.
        progress: told (items done, items in all, text).
    """

    model: Model
    dtype: str
    progress: Progress
    _classifier: Opened | None = None
    _engine: Engine | None = None

    @property
    def classifier(self) -> Opened:
        """What predicts labels, numbers or spans.

        Raises:
            UsageError: these are weights without a head.
        """
        from gradus import hardware
        from gradus.checkpoints import is_checkpoint
        from gradus.predict import load

        if self._classifier is None:
            ref = self.model.weights
            assert ref is not None  # `Place.take` asks only what can be asked
            if not is_checkpoint(Path(ref.path)):
                raise UsageError(
                    f"{self.model.text} is weights without a classifier: compare steps that were "
                    "made from them, or on a benchmark: --on BENCHMARK=PATH"
                )
            self._classifier = load(ref, dtype=self.dtype, threads=hardware.threads())
        return self._classifier

    @property
    def engine(self) -> Engine:
        """What says how probable a text is."""
        from gradus import hardware, scoring

        if self._engine is None:
            ref = self.model.weights
            assert ref is not None
            self._engine = scoring.open(ref, dtype=self.dtype, threads=hardware.threads())
        return self._engine

    def counter(self, total: int, where: str) -> Callable[[int], None]:
        """Progress over `total` items."""
        text = f"{self.model.name} on {where}"
        return lambda done: self.progress(done, total, text)


@dataclass(frozen=True, slots=True)
class Place(ABC):
    """Where models are compared; `name` is what the comparison calls it."""

    name: str

    def take(self, asked: Asked) -> Contender:
        """What a model says of every item here: what is kept, or else asked anew.

        Raises:
            UsageError: it can't be asked.
        """
        kept = self.kept(asked.model)
        if kept is not None:
            return _read(asked.model, kept)
        if asked.model.file is not None:
            return _read(asked.model, None)
        return self.ask(asked)

    def kept(self, model: Model) -> Kept | None:
        """The items of this place that the model has already."""
        return kept_at(model, self.name)

    def begin(self, models: Sequence[Model]) -> None:
        """Called once, before the models are asked."""
        return

    @abstractmethod
    def ask(self, asked: Asked) -> Contender:
        """Ask the model about every item."""


@dataclass(frozen=True, slots=True)
class KeptPlace(Place):
    """Items that the runs keep of a split or a benchmark."""

    def ask(self, asked: Asked) -> Contender:
        """Nothing can be asked anew, since the data aren't at hand."""
        there = [kept.place for kept in asked.model.kept]
        known = f"it keeps {', '.join(there)}" if there else "it keeps nothing"
        raise UsageError(
            f"{asked.model.text} keeps no items of {self.name} ({known}): say what to measure on, "
            f"--on {FORMS}"
        )


@dataclass(frozen=True, slots=True)
class DataPlace(Place):
    """Labelled texts: a split of a data set, or all of a file.

    Attributes:
        dataset: whose labels and target count.
        split: the items.
        at: the split's name; empty for all of a file.
        whole: how many items the split has.
    """

    dataset: Dataset
    split: Split
    at: str
    whole: int

    def kept(self, model: Model) -> Kept | None:
        """Items that the model has already, if they are these."""
        from gradus.metrics.items import read_seen

        found = kept_at(model, self.name)
        if found is None or set(read_seen(found.file)[0].ids) != set(self.split.ids):
            return None
        return found

    def begin(self, models: Sequence[Model]) -> None:
        """Count the reading of a test split, or the look at a half of dev, if any model is asked.

        Raises:
            UsageError: dev.gate answers through a reusable hold-out.
        """
        from gradus import holdout, ledger, looks
        from gradus.runner import fingerprint

        digest = self.dataset.split_digests.get(self.at, "")
        if self.at == "dev.gate":
            holdout.refuse_bare(digest, self.name)
        anew = {m.name: m.weights for m in models if m.weights is not None and not self.kept(m)}
        name, run = self.dataset.name, "gradus compare"
        if self.at == "test" and anew:
            ledger.read(digest, data=name, run=run, reading=uuid.uuid4().hex, models=list(anew))
        elif self.at in looks.HALVES and anew:
            # As a run counts them: on dev.gate those that are seen together, on dev.select each.
            each = sorted({ref.digest for ref in anew.values()})
            for mark in [fingerprint.digest(each)] if self.at == "dev.gate" else each:
                looks.note(digest, self.at, mark, data=name, run=run, step=", ".join(anew))

    def ask(self, asked: Asked) -> Contender:
        """Classify every text."""
        from gradus.measure import quality
        from gradus.measure.compare import Contender

        opened = asked.classifier
        try:
            seen = quality.predictions(
                opened.predictor,
                self.split,
                self.dataset.labels,
                target=self.dataset.target,
                progress=asked.counter(len(self.split), self.name),
            )
        except ContractError as error:
            raise ContractError(f"{asked.model.text} on {self.name}: {error}") from error
        contract = dict(opened.contract)
        if len(self.split) < self.whole:
            contract["sample"] = f"{len(self.split)} of {self.whole}"
        common = {
            "data": self.dataset.name,
            "split": self.at,
            "checkpoint": asked.model.name,
            "contract": contract,
        }
        return Contender(asked.model.name, seen, self.split.texts, common)


@dataclass(frozen=True, slots=True)
class BenchmarkPlace(Place):
    """A benchmark on a published file."""

    benchmark: Named

    def kept(self, model: Model) -> Kept | None:
        """Nothing where the model can be asked: a run may have read another file."""
        return None if model.weights is not None else kept_at(model, self.name)

    def ask(self, asked: Asked) -> Contender:
        """Read the file and ask the model what the benchmark asks.

        Answers are kept in the user's cache until all are there, so that what was interrupted
        goes on.
        """
        from gradus.benchmarks import named
        from gradus.measure.compare import Contender
        from gradus.sources.digests import digest_path

        kind = self.benchmark.load()
        config = _config(kind, self.benchmark)
        path = named.place(config, Path.cwd())
        documents = kind.read(config, path or Path())
        if not documents:
            raise DataError(f"holds nothing for {kind.name}", file=path)
        engine, file = asked.engine, "" if path is None else digest_path(path)
        journal = _journal(asked, {"benchmark": kind.name, "file": file, **_plain(config)})
        count = asked.counter(len(documents), self.name)
        seen = kind.ask(config, documents, engine, journal=journal, progress=count)
        journal.unlink(missing_ok=True)
        common = {
            "data": self.benchmark.name,
            "split": "",
            "benchmark": kind.name,
            "checkpoint": asked.model.name,
            "contract": kind.contract(config, engine, file),
        }
        shown = {document.id: document.text for document in documents}
        return Contender(asked.model.name, seen, [shown.get(one, "") for one in seen.ids], common)


def _plain(config: Any) -> dict[str, Any]:
    """A benchmark's options, without where its file stands."""
    return {k: v for k, v in config.model_dump(mode="json").items() if k != "path"}


def _journal(asked: Asked, what: Mapping[str, Any]) -> Path:
    """The file that one model's answers to one benchmark are kept in on the way."""
    from gradus import hardware
    from gradus.runner.fingerprint import digest
    from gradus.runner.keys import environment

    ref = asked.model.weights
    assert ref is not None
    key = digest(
        {**what, "checkpoint": [ref.kind, ref.digest], **environment(), "dtype": asked.dtype}
    )
    folder = hardware.cache_folder() / "compare"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{key[:16]}.jsonl"


def kept_at(model: Model, place: str) -> Kept | None:
    """The items of a place that the model has already."""
    return next((kept for kept in model.kept if kept.place == place), None)


def _config(kind: Any, benchmark: Named) -> Any:
    from pydantic import ValidationError

    try:
        return kind.Config.model_validate(dict(benchmark.options))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors()]
        raise UsageError(f"--on {benchmark.name}: {'; '.join(faults)}") from error


def _read(model: Model, kept: Kept | None) -> Contender:
    from gradus.measure.compare import Contender
    from gradus.metrics.items import read_seen

    file = model.file if kept is None else kept.file
    assert file is not None  # one of the two is there
    seen, texts = read_seen(file)
    return Contender(model.name, seen, texts, None if kept is None else kept.common)
