"""Small step kinds with every shape of config that the plan room has to understand."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gradus.steps.base import Needs, Step, StepConfig, StepContext, StepOutcome

QUALITY = frozenset({"accuracy", "f1", "log_loss"})
COST = frozenset({"latency_p50_ms", "size_mb"})


class Stage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    train: str = "all"
    epochs: int = Field(default=1, ge=1)
    lr: float = Field(default=1e-3, gt=0)


class FitConfig(StepConfig):
    model: str
    data: str
    objective: Literal["classify", "tag"] = "classify"
    stages: tuple[Stage, ...] = Field(default=(Stage(),), min_length=1, max_length=3)
    shots: int | list[int] = 0
    note: str | None = None
    shuffle: bool = True


class _Toy(Step):
    summary = "a toy"
    example = ""

    def run(self, config: Any, context: StepContext) -> StepOutcome:
        return StepOutcome()


class Fit(_Toy):
    Config = FitConfig

    @classmethod
    def needs(cls, config: FitConfig) -> Needs:
        return Needs(models={"model": config.model}, data={"data": config.data})

    @classmethod
    def produces(cls, config: FitConfig) -> frozenset[str]:
        return QUALITY | COST


class ShrinkConfig(StepConfig):
    model: str
    scheme: str = "int8"

    @model_validator(mode="after")
    def _check(self) -> ShrinkConfig:
        if self.scheme == "int1":
            raise ValueError("one bit isn't enough")
        return self


class Shrink(_Toy):
    """Names no data: it is measured on its parent's."""

    Config = ShrinkConfig

    @classmethod
    def needs(cls, config: ShrinkConfig) -> Needs:
        return Needs(models={"model": config.model})

    @classmethod
    def produces(cls, config: ShrinkConfig) -> frozenset[str]:
        return QUALITY | COST


class FloorConfig(StepConfig):
    data: str


class Floor(_Toy):
    Config = FloorConfig

    @classmethod
    def needs(cls, config: FloorConfig) -> Needs:
        return Needs(data={"data": config.data})

    @classmethod
    def produces(cls, config: FloorConfig) -> frozenset[str]:
        return frozenset({"accuracy"})


class JudgeConfig(StepConfig):
    models: tuple[str, ...]
    on: str


class Judge(_Toy):
    Config = JudgeConfig

    @classmethod
    def needs(cls, config: JudgeConfig) -> Needs:
        return Needs(
            models={f"models[{i}]": name for i, name in enumerate(config.models)},
            data={"on": config.on.partition(".")[0]},
        )

    @classmethod
    def produces(cls, config: JudgeConfig) -> frozenset[str]:
        return QUALITY


class ReadConfig(StepConfig):
    corpora: tuple[str, ...]


class Read(_Toy):
    """Trains on corpora."""

    Config = ReadConfig

    @classmethod
    def needs(cls, config: ReadConfig) -> Needs:
        return Needs(corpora={f"corpora[{i}]": name for i, name in enumerate(config.corpora)})

    @classmethod
    def produces(cls, config: ReadConfig) -> frozenset[str]:
        return frozenset({"bits_per_byte", "token_perplexity"})


class JudgeEither(Judge):
    """Measures on a data set or on a corpus."""

    @classmethod
    def needs(cls, config: JudgeConfig) -> Needs:
        found = super().needs(config)
        return Needs(models=found.models, either=found.data)
