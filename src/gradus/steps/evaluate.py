"""Step `evaluate`: measure checkpoints side by side; the only step that may name the test split."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field, field_validator

from gradus import benchmarks
from gradus.benchmarks.cost import CostBenchmark
from gradus.steps.base import Needs, Step, StepConfig, StepContext, StepOutcome, Target

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
        models: steps or models to measure, each on the same items.
        on: ``NAME.test``, ``NAME.dev.gate`` (or ``NAME``) or ``NAME.dev.select``.
        sample: so many items at most, chosen by content hash; all when absent.
        cost: whether latency, throughput, memory and size are measured again, in turns.
    """

    models: Annotated[list[str], Field(min_length=1)]
    on: str
    sample: Annotated[int, Field(ge=1)] | None = None
    cost: bool = True

    @field_validator("models")
    @classmethod
    def _once_each(cls, models: list[str]) -> list[str]:
        twice = sorted({name for name in models if models.count(name) > 1})
        if twice:
            raise ValueError(f"named more than once: {', '.join(twice)}")
        return models

    @field_validator("on")
    @classmethod
    def _known_split(cls, on: str) -> str:
        split_name(on)
        return on


class Evaluate(Step):
    """Measure checkpoints side by side, on the same items of one split.

    One pass over test, for however many models, is one reading.
    """

    Config: ClassVar[type[StepConfig]] = EvaluateConfig
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
        """Every model, and the data set without its split."""
        data, _ = split_name(config.on)
        return Needs(
            models={f"models[{i}]": name for i, name in enumerate(config.models)},
            data={"on": data},
        )

    @classmethod
    def produces(cls, config: EvaluateConfig) -> frozenset[str]:
        """Quality, and cost unless it is switched off."""
        cost = CostBenchmark.metrics if config.cost else ()
        return frozenset({*benchmarks.quality_metrics(), *cost})

    def run(self, config: EvaluateConfig, context: StepContext) -> StepOutcome:
        """Say what to measure; the runner does it, and counts the reading."""
        data, split = split_name(config.on)
        return StepOutcome(
            measure=[
                Target(checkpoint=name, data=data, split=split, sample=config.sample)
                for name in config.models
            ]
        )
