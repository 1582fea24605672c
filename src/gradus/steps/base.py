"""What a step is, what it gets and what it gives back.

A step sees train and dev.select, never dev.gate or test; it takes no measurement and reads no
gate. The runner does both afterwards. One that has models write may be handed prompts from
dev.gate (`Step.prompts`), by which nothing is trained or chosen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from gradus.records import CheckpointRef, Waiting

if TYPE_CHECKING:
    from gradus.data.corpora import Corpus
    from gradus.data.dataset import TrainingData
    from gradus.steps.inner import Inner
    from gradus.writing.prompts import Prompt, PromptsConfig


Made = Literal["model", "tokenizer", "samples", "ratings", "judgements", "nothing"]


class StepConfig(BaseModel):
    """Base of every step's config: unknown keys are faults, values don't change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The names in a config that refer to other parts of the plan.

    `models` may name entries of the plan's `models:` or ids of earlier steps; `data` names
    entries of `data:`, `corpora` entries of `corpora:`, `either` entries of one or the other. The
    key is the config field (``model``, ``models[0]``), the value the name.
    `takes` says what a named step must have made where that isn't a model (`Step.makes`), by the
    same key: ``{"of": ("samples",)}``.
    `benchmarks` holds entries that name benchmarks on published files (`gradus.benchmarks.named`),
    by the same kind of key; the plan checks and resolves them.
    """

    models: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    corpora: Mapping[str, str] = field(default_factory=dict)
    either: Mapping[str, str] = field(default_factory=dict)
    takes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    benchmarks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something the runner shall measure after the step.

    `checkpoint` is a name (the step's own id, ``id.extra`` for a further checkpoint, another
    step's id, a model's name); `data` names a data set or a corpus; `split` is ``dev.gate``,
    ``dev.select`` or ``test``; `sample` limits it to that many items (documents of a corpus),
    chosen by content hash. With `benchmark`, the resolved
    config of a text benchmark under its versioned name ({"name": "lambada.v1", "path": ...}),
    that is measured; `data` is then what the plan calls it and `split` is empty. `dtype` and
    `batch_tokens` are of benchmarks: the arithmetic (``measure.dtype`` when None) and the most
    tokens of a batch.
    """

    checkpoint: str
    data: str = ""
    split: str = "dev.gate"
    sample: int | None = None
    benchmark: Mapping[str, Any] | None = None
    dtype: str | None = None
    batch_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """What a step gives back.

    Attributes:
        checkpoint: folder of the checkpoint, with its manifest; None when the step makes none.
        extras: further checkpoints by name: ``{"majority": path}`` is measured as ``id.majority``.
        measure: what to measure; None means the step's checkpoints on ``dev.gate`` of its data, and
            those that are language models on ``dev.gate`` of its corpora.
        notes: sentences for the report ("3 prompts were too long and lost examples").
        facts: numbers and small tables for the report, JSON only.
        cost: e.g. ``{"train_tokens": 812_344, "train_seconds": 61.2, "flops": 1.1e13}``.
        waiting: whom the step waits for; what else the outcome holds is then left aside, and the
            step is asked again when the plan is run again.
        withheld: by metric, why no gate may rest on it; such a gate is undecided.
    """

    checkpoint: Path | None = None
    extras: Mapping[str, Path] = field(default_factory=dict)
    measure: Sequence[Target] | None = None
    notes: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    waiting: Waiting | None = None
    withheld: Mapping[str, str] = field(default_factory=dict)


class Monitor(Protocol):
    """Progress and dev.select, while a step works; nothing here is read by a gate."""

    def score(self, outputs: Any) -> dict[str, float]:
        """Metrics on dev.select from what is predicted for its n items, in its order.

        `outputs` is what the data's target asks of a predictor: log-probabilities [n, K] for
        ``label`` and ``labels``, numbers [n], or n tuples of spans.
        """
        ...

    def point(self, **row: float | int | str) -> None:
        """Append one row to the step's curves (JSON lines), e.g. stage, epoch, loss, accuracy."""
        ...

    def rewind(self, rows: int) -> None:
        """After a resume: keep the first `rows` rows of the curves and drop what came later."""
        ...

    def progress(self, done: float, total: float, text: str = "") -> None:
        """Show how far the step is, in whatever unit `total` has."""
        ...

    def note(self, text: str) -> None:
        """Say a sentence now and keep it for the report."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What the runner hands to a step.

    Attributes:
        id: the step's id in the plan.
        seed: derived from the plan's seed and the step's id.
        out: where checkpoints go (``out / "checkpoint"``); exists and is empty at first.
        work: for resumable state; survives a kill and is removed when the step is done.
        models: what the config's model names stand for.
        data: train and dev.select of the step's data set, the first where it names several; None
            when the step names none.
        corpora: train and dev.select of the step's corpora, by name.
        datasets: the same of all its data sets.
        monitor: see `Monitor`.
        dtype: ``bfloat16`` where the processor is fast at it, else ``float32``; for training.
        threads: number of threads that torch and others may use.
        folder: what relative paths of the plan are relative to.
        run: the run's folder, for what shall outlive a change of the step: what people answered.
        prompts: what `Step.prompts` asks for.
        level: of the plan's intervals and tests; for a step that `tests`.
        inner: runs ordinary steps inside this one; see `gradus.steps.inner`.
    """

    id: str
    seed: int
    out: Path
    work: Path
    models: Mapping[str, CheckpointRef]
    data: TrainingData | None
    monitor: Monitor
    dtype: str
    threads: int
    corpora: Mapping[str, Corpus] = field(default_factory=dict)
    datasets: Mapping[str, TrainingData] = field(default_factory=dict)
    folder: Path = Path()
    run: Path = Path()
    prompts: Sequence[Prompt] = ()
    level: float = 0.95
    inner: Inner | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Where a step's answers are found: as in `StepContext`, before the step has a folder."""

    id: str
    seed: int
    models: Mapping[str, CheckpointRef]
    run: Path


class Step(ABC):
    """A step kind. One file holds its config, its docstring and a worked example.

    Class attributes:
        Config: its typed config.
        summary: one line for `gradus ls`.
        example: a YAML step as it stands in a plan, checked by the contract tests.
        makes: what its checkpoint is: a model, which most steps take, or what only some do.
        seeded: whether its result depends on the seed, so that repeating it says something.
        unrepeated: why it can't be repeated with several seeds though it depends on one; None
            where it can.
        tests: whether it takes tests of its own at the plan's level, which then joins its
            fingerprint.
        together: whether the processes that torchrun starts do it together; otherwise the first
            one does it, and the others wait.
    """

    Config: ClassVar[type[StepConfig]]
    summary: ClassVar[str]
    example: ClassVar[str]
    makes: ClassVar[Made] = "model"
    seeded: ClassVar[bool] = True
    unrepeated: ClassVar[str | None] = None
    tests: ClassVar[bool] = False
    together: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def needs(cls, config: Any) -> Needs:
        """The names in `config` that must exist in the plan."""

    @classmethod
    @abstractmethod
    def produces(cls, config: Any) -> frozenset[str]:
        """Plain names of the metrics that can be measured after this step."""

    @classmethod
    def prompts(cls, config: Any) -> PromptsConfig | None:
        """The prompts that language models shall write to, if it has any write.

        The runner takes them, from dev.gate too: a step may have models write there, which neither
        trains nor chooses anything.
        """
        return None

    @classmethod
    def reads_test(cls, config: Any) -> bool:
        """Whether the step has the test split measured, which most never may."""
        return False

    @classmethod
    def learns(cls, config: Any) -> bool:
        """Whether what it makes has learnt from the items of train of its data sets."""
        return cls.makes == "model"

    @classmethod
    def times(cls, config: Any) -> bool:
        """Whether it chooses by timings of its own; what they are taken with joins its
        fingerprint."""
        return False

    @classmethod
    def compares_by(cls, config: Any) -> Mapping[str, str]:
        """By the config's field, the metrics of quality that it compares steps inside it by; the
        plan checks that its data have them."""
        return {}

    def answers(self, config: Any, context: Asking) -> str:
        """A digest of what people have answered, as soon as that is enough; empty before.

        It joins the step's fingerprint: with further answers the step is done again. Called
        whenever a plan runs, so it must be cheap.
        """
        return ""

    @abstractmethod
    def run(self, config: Any, context: StepContext) -> StepOutcome:
        """Do the work. Must be resumable from `context.work` and leave nothing half-written."""
