"""What the names in a plan stand for: data sets, models of the plan, checkpoints of steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradus import hardware, registry, sources
from gradus.benchmarks import named
from gradus.checkpoints import is_checkpoint, open_checkpoint, read_manifest, verify
from gradus.data.config import DataConfig
from gradus.data.dataset import Dataset
from gradus.data.load import load_dataset
from gradus.errors import DataChanged, UsageError
from gradus.measure import slices
from gradus.metrics.score import Scores
from gradus.predict import Model, load
from gradus.predict.model import language_model
from gradus.predict.outputs import target_of
from gradus.predict.postprocess import Postprocess
from gradus.records import CheckpointRef, Plan, RunRecord, State, StepSpec
from gradus.runner.fingerprint import digest
from gradus.runner.monitor import Quiet, Reporter
from gradus.runner.store import RunFolder

if TYPE_CHECKING:
    from gradus.data.corpora import Corpus
    from gradus.steps.base import Step
    from gradus.writing.prompts import Prompt

UNFINISHED = (State.RUNNING, State.INTERRUPTED, State.FAILED, State.WAITING)


@dataclass(frozen=True, slots=True)
class Seeds:
    """The checkpoints of a step that was repeated.

    Attributes:
        names: what they are called, ``ID.seed1`` and so on.
        places: the folder of each.
        chosen: which of them is the one that the step's id stands for.
    """

    names: tuple[str, ...]
    places: tuple[Path, ...]
    chosen: int


@dataclass
class Inputs:
    """Loads each thing once, when it is first asked for; `seeds` are those of repeated steps."""

    plan: Plan
    folder: RunFolder
    reporter: Reporter = field(default_factory=Quiet)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    corpora: dict[str, Corpus] = field(default_factory=dict)
    weights: dict[str, CheckpointRef] = field(default_factory=dict)
    checkpoints: dict[str, CheckpointRef] = field(default_factory=dict)
    seeds: dict[str, Seeds] = field(default_factory=dict)
    _opened: dict[tuple[str, str], Model] = field(default_factory=dict)
    _prompts: dict[str, tuple[Prompt, ...]] = field(default_factory=dict)

    @cached_property
    def scores(self) -> Scores:
        """The plan's own scores."""
        return Scores.of(self.plan.scores)

    def check(self) -> None:
        """Refuse scores and slices that name what no data set has, before anything is computed.

        Raises:
            UsageError: there is one.
        """
        data = [self.dataset(name) for name in self.plan.data]
        measured = [(str(one.target), one.labels) for one in data]
        for spec in self.plan.steps:
            for entry in spec.config.get("benchmarks", ()):
                measured.append((named.read(entry).load().kind, ()))
        self.scores.check(measured)
        slices.check(self.plan.measure.get("slices", ()), data)

    def dataset(self, name: str) -> Dataset:
        """The data set of that name, split."""
        if name not in self.datasets:
            self.datasets[name] = load_dataset(
                name,
                DataConfig.model_validate(self.plan.data[name]),
                folder=Path(self.plan.folder),
                seed=self.plan.seed,
                assignments=self.folder.path / "splits",
            )
        return self.datasets[name]

    def corpus(self, name: str) -> Corpus:
        """The corpus of that name, cleaned and split; kept in the run folder."""
        from gradus.data.corpora import load_corpus
        from gradus.data.corpora.config import CorpusConfig

        if name not in self.corpora:
            self.corpora[name] = load_corpus(
                name,
                CorpusConfig.model_validate(self.plan.corpora[name]),
                folder=Path(self.plan.folder),
                seed=self.plan.seed,
                place=self.folder.path / "corpora",
                progress=self.reporter.progress,
            )
        return self.corpora[name]

    def prompts(self, spec: StepSpec) -> tuple[Prompt, ...]:
        """What the step has models write to; none for most.

        Raises:
            DataError: the prompts' file is broken, or no document of the corpus is long enough.
        """
        from gradus.writing import prompts

        kind: type[Step] = registry.load("steps", spec.kind)
        asked = kind.prompts(kind.Config.model_validate(dict(spec.config)))
        if asked is None:
            return ()
        if asked.corpus is None:
            return prompts.given(asked, Path(self.plan.folder))
        if spec.id not in self._prompts:
            splits = self.corpus(asked.corpus).splits
            if asked.split not in splits:
                raise UsageError(
                    f"{spec.id}: prompts are of {asked.corpus}.{asked.split}, which the corpus's "
                    f"split leaves empty; it has {', '.join(splits)}"
                )
            documents = splits[asked.split]
            self._prompts[spec.id] = prompts.of_documents(asked, documents)
        return self._prompts[spec.id]

    def split_digest(self, name: str, split: str) -> str:
        """The digest of a split of the data set or the corpus of that name."""
        of = self.corpus(name) if name in self.plan.corpora else self.dataset(name)
        return of.split_digests[split]

    def checkpoint(self, name: str) -> CheckpointRef:
        """The weights behind a model's name, a step's id, or ``id.extra``.

        A checkpoint of Gradus is checked against its hashes.

        Raises:
            UsageError: the name stands for nothing.
            CheckpointError: a file was changed.
        """
        if name in self.checkpoints:
            return self.checkpoints[name]
        if name not in self.plan.models:
            raise UsageError(f"'{name}' has made no checkpoint that could be used here")
        if name not in self.weights:
            self.weights[name] = sources.locate_weights(
                name, self.plan.models[name], Path(self.plan.folder)
            )
            if is_checkpoint(Path(self.weights[name].path)):
                verify(Path(self.weights[name].path))
        return self.weights[name]

    def obstacle(self, name: str, data: str) -> str | None:
        """Why the checkpoint of that name can't be measured on a data set; None when it can."""
        if name not in self.checkpoints and name not in self.plan.models:
            return f"'{name}' has made no checkpoint"
        ref = self.checkpoint(name)
        if self.dataset(data).target == "reply" and writes(ref):
            return None
        if not is_checkpoint(Path(ref.path)):
            return f"'{name}' is weights without a classifier, so there is nothing to measure"
        preprocessing = read_manifest(Path(ref.path)).preprocessing
        has, wants = target_of(preprocessing), self.dataset(data).target
        if has != wants:
            return f"'{name}' has target '{has}', '{data}' has target '{wants}'"
        known = set(self.dataset(data).labels)
        said = {*ref.labels, *Postprocess.of(preprocessing).label_map.values()}
        if wants not in ("number", "reply") and not said & known:
            return f"'{name}' knows none of the labels of '{data}'"
        return None

    def add(self, name: str, path: Path) -> CheckpointRef:
        """Make known what a step has made; the files are checked against their hashes."""
        verify(path)
        made = replace(open_checkpoint(path, name=name), origin={"step": name})
        self.checkpoints[name] = made
        return made

    def predictor(self, name: str) -> Model:
        """The loaded checkpoint, kept while the next ones are compared with it."""
        dtype = str(self.plan.measure.get("dtype", "float32"))
        ref = self.checkpoint(name)
        key = (ref.digest, dtype)
        if key not in self._opened:
            if len(self._opened) >= KEPT:
                self._opened.pop(next(iter(self._opened)))
            opens = load if is_checkpoint(Path(ref.path)) else language_model
            self._opened[key] = opens(ref, dtype=dtype, threads=hardware.threads())
        return self._opened[key]

    def release(self) -> None:
        """Let go of all loaded checkpoints, so that training has the memory."""
        self._opened.clear()

    def data_facts(self) -> dict[str, Any]:
        """Facts of every data set of the plan, with what tells a changed file from a new plan."""
        return {
            name: {
                **self.dataset(name).facts,
                "digest": self.dataset(name).digest,
                "config_digest": digest(self.plan.data[name]),
            }
            for name in self.plan.data
        }

    def corpus_facts(self) -> dict[str, Any]:
        """The same of every corpus of the plan."""
        return {
            name: {
                **self.corpus(name).facts,
                "digest": self.corpus(name).digest,
                "config_digest": digest(self.plan.corpora[name]),
            }
            for name in self.plan.corpora
        }


KEPT = 6


def writes(ref: CheckpointRef) -> bool:
    """Whether it is a language model that goes on with a text, as far as its files tell."""
    from gradus.scoring.load import READABLE, is_masked

    if not is_checkpoint(Path(ref.path)):
        return ref.kind in READABLE and not ref.labels and not is_masked(ref)
    return target_of(read_manifest(Path(ref.path)).preprocessing) == "text"


def refuse_changed_data(earlier: RunRecord | None, facts: Mapping[str, Any]) -> None:
    """An unfinished run goes on only with the data it began with.

    Raises:
        DataChanged: the same data section of the plan now yields other rows.
    """
    if earlier is None or earlier.state not in UNFINISHED:
        return
    for name, now in facts.items():
        kind = "corpus" if name in earlier.corpora else "data"
        before = {**earlier.data, **earlier.corpora}.get(name)
        if before is None or before.get("config_digest") != now["config_digest"]:
            continue
        if before["digest"] != now["digest"]:
            raise DataChanged(
                f"{kind} '{name}' has changed since this run began (then {_size(before)}, now "
                f"{_size(now)}): "
                "bring the old files back to resume, or start anew with --fresh, which keeps the "
                "old folder"
            )


def _size(facts: Mapping[str, Any]) -> str:
    if "rows" in facts:
        size = f"{facts['rows']} rows"
    else:
        counts = [split.get("documents", 0) for split in facts.get("splits", {}).values()]
        size = f"{sum(counts):,} documents"
    return f"{size}, digest {facts['digest'][:12]}"
