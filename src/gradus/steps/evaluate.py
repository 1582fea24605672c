"""Step `evaluate`: measure checkpoints side by side; the only step that may name the test split."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, get_args

from pydantic import Field, field_validator, model_validator

from gradus import benchmarks
from gradus.benchmarks import named
from gradus.benchmarks.corpus import CorpusBenchmark
from gradus.benchmarks.cost import CostBenchmark
from gradus.benchmarks.masked import MaskedBenchmark
from gradus.errors import GradusError
from gradus.records import Labelled
from gradus.steps.base import Made, Needs, Step, StepConfig, StepContext, StepOutcome, Target

MEASURED_SPLITS: Final = ("dev.gate", "dev.select", "test")


def split_name(on: str) -> tuple[str, str]:
    """Data set and split that ``NAME`` or ``NAME.SPLIT`` stands for.

    >>> split_name("news.test"), split_name("news")
    (('news', 'test'), ('news', 'dev.gate'))

    Raises:
        ValueError: there is no such split, or it isn't measured on.
    """
    for split in MEASURED_SPLITS:
        if on.endswith(f".{split}"):
            return on.removesuffix(f".{split}"), split
    data, dot, split = on.partition(".")
    if not dot:
        return data, "dev.gate"
    known = ", ".join(f"{data}.{name}" for name in MEASURED_SPLITS)
    why = "what a model was trained on isn't measured" if split == "train" else "no such split"
    raise ValueError(f"'{on}': {why}; write {data} (its dev.gate) or one of {known}")


class EvaluateConfig(StepConfig):
    """Config of `evaluate`.

    Attributes:
        models: steps or models to measure, each on the same items; gates are about the last.
        on: ``NAME.test``, ``NAME.dev.gate`` (or ``NAME``) or ``NAME.dev.select`` of a data set, or
            of a corpus, on which language models are measured.
        benchmarks: with `on` or instead of it, what language models are asked of published files:
            ``NAME: PATH``, ``NAME: {path: PATH, limit: 300}`` with the benchmark's options, or a
            name such as ``lm-eval:hellaswag``.
        sample: so many items of `on` at most (documents of a corpus), chosen by content hash; all
            when absent.
        cost: whether latency, throughput, memory and size are measured again on the texts of
            `on`, in turns.
        dtype: arithmetic of the benchmarks; measure.dtype when left out.
        max_batch_tokens: most tokens of a batch of the benchmarks; memory follows it, the numbers
            don't.
    """

    models: Annotated[list[str], Field(min_length=1)]
    on: str | None = None
    benchmarks: list[str | dict[str, Any]] = Field(default_factory=list)
    sample: Annotated[int, Field(ge=1)] | None = None
    cost: bool = True
    dtype: Literal["float32", "bfloat16"] | None = None
    max_batch_tokens: Annotated[int, Field(ge=1)] | None = None

    @field_validator("models")
    @classmethod
    def _once_each(cls, models: list[str]) -> list[str]:
        twice = sorted({name for name in models if models.count(name) > 1})
        if twice:
            raise ValueError(f"named more than once: {', '.join(twice)}")
        return models

    @field_validator("on")
    @classmethod
    def _known_split(cls, on: str | None) -> str | None:
        if on is not None:
            split_name(on)
        return on

    @model_validator(mode="after")
    def _on_something(self) -> EvaluateConfig:
        if self.on is None and not self.benchmarks:
            raise ValueError(
                "name a data set or a corpus in 'on', a benchmark in 'benchmarks', or both"
            )
        if not self.benchmarks:
            given = [key for key in ("dtype", "max_batch_tokens") if getattr(self, key) is not None]
            if given:
                raise ValueError(f"'{given[0]}' goes with 'benchmarks'; data have measure.dtype")
        return self


class Evaluate(Step):
    """Measure checkpoints side by side: on the same items of one split, on benchmarks, or on both.

    On a split of a corpus, language models are: causal ones by log-likelihoods (`corpus.v1`), those
    that fill gaps by fixed gaps (`masked.v1`).

    One pass over test, for however many models, is one reading. Benchmarks are asked of causal
    language models; their files are public, so that reading them isn't counted.
    """

    Config: ClassVar[type[StepConfig]] = EvaluateConfig
    makes: ClassVar[Made] = "nothing"
    seeded: ClassVar[bool] = False
    summary: ClassVar[str] = "measure checkpoints side by side; alone may read the test split"
    example: ClassVar[str] = """\
id: final
step: evaluate
models: [floor, tuned]
on: news.test
"""

    @classmethod
    def needs(cls, config: EvaluateConfig) -> Needs:
        """Every model, the data set or corpus without its split, the benchmarks."""
        return Needs(
            models={f"models[{i}]": name for i, name in enumerate(config.models)},
            either={} if config.on is None else {"on": split_name(config.on)[0]},
            benchmarks={f"benchmarks[{i}]": entry for i, entry in enumerate(config.benchmarks)},
        )

    @classmethod
    def produces(cls, config: EvaluateConfig) -> frozenset[str]:
        """What is measured of the data, of the benchmarks and, unless switched off, cost."""
        found: set[str] = set()
        if config.on is not None:
            found.update(*(benchmarks.of(target).metrics for target in get_args(Labelled)))
            found.update(CorpusBenchmark.metrics, MaskedBenchmark.metrics)
            found.update(CostBenchmark.metrics if config.cost else ())
        for entry in config.benchmarks:
            try:
                found |= named.metrics_of(named.read(entry).load())
            except GradusError:
                continue  # told by the plan, with its place in the file
        return frozenset(found)

    @classmethod
    def reads_test(cls, config: EvaluateConfig) -> bool:
        """Where `on` names it."""
        return config.on is not None and split_name(config.on)[1] == "test"

    def run(self, config: EvaluateConfig, context: StepContext) -> StepOutcome:
        """Say what to measure; the runner does it, and counts the reading."""
        targets = []
        if config.on is not None:
            data, split = split_name(config.on)
            targets += [
                Target(checkpoint=name, data=data, split=split, sample=config.sample)
                for name in config.models
            ]
        for entry in config.benchmarks:
            asked = named.read(entry)
            resolved = {"name": asked.kind, **asked.options}
            targets += [
                Target(
                    checkpoint=name,
                    data=asked.name,
                    split="",
                    benchmark=resolved,
                    dtype=config.dtype,
                    batch_tokens=config.max_batch_tokens,
                )
                for name in config.models
            ]
        return StepOutcome(measure=targets)
