"""Step `quantize`: make a fine-tuned classifier, or a language model, smaller and faster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gradus import benchmarks, registry
from gradus.benchmarks.cost import CostBenchmark
from gradus.benchmarks.parity import ParityBenchmark
from gradus.compress.base import Budget
from gradus.errors import GradusError
from gradus.parity.base import Bounds
from gradus.steps.base import Needs, Step, StepConfig, StepContext, StepOutcome
from gradus.training.config import StageConfig

AUTO = "auto"


class Calibration(BaseModel):
    """What the scales of activations are settled on: texts of train, never of dev or test.

    Attributes:
        data: the data set whose train split is taken; left out, the step's own.
        texts: how many, by content hash.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str | None = None
    texts: Annotated[int, Field(ge=1)] = 256


class QuantizeConfig(StepConfig):
    """Config of `quantize`.

    Attributes:
        model: a finetune step, or a checkpoint that one has made; for a scheme of language models
            a causal one.
        scheme: name of a compression scheme (`gradus ls schemes`), or ``auto``: those that keep
            the budget are measured, and the best for `target` is taken.
        data: what the result is measured on, with train to calibrate or train on; left out: the
            data of the model's step.
        corpus: for schemes of language models, what they are measured on.
        vocabulary: ``trim`` keeps the tokens that train's texts use, with all special ones and
            single characters (see `gradus.compress.vocabulary`).
        calibration: for schemes that settle scales on train.
        budget: how much may be lost on dev.select, for schemes that search and for ``auto``.
        target: with ``auto``, what shall be least: ``latency`` of one text, ``throughput``'s
            inverse, or ``size``.
        candidates: with ``auto``, the schemes that are tried; left out, all for classifiers that
            neither train nor search.
        stages: for schemes that train under rounding; left out, one epoch of all layers.
        parity: bounds of the hand-off gate, in the place of the scheme's own.
        options: further ones of a scheme of language models.
    """

    model: str
    scheme: Annotated[str, Field(validate_default=True)] = "int8-dynamic"
    data: str | None = None
    corpus: str | None = None
    vocabulary: Literal["keep", "trim"] = "keep"
    calibration: Calibration = Calibration()
    budget: Budget | None = None
    target: Literal["latency", "throughput", "size"] | None = None
    candidates: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    stages: Annotated[tuple[StageConfig, ...], Field(min_length=1)] | None = None
    parity: Bounds = Bounds()
    options: Mapping[str, Any] = Field(default_factory=dict)

    @field_validator("scheme")
    @classmethod
    def _with_version(cls, scheme: str) -> str:
        if scheme == AUTO:
            return scheme
        try:
            return registry.resolve("schemes", scheme)
        except GradusError as error:
            raise ValueError(str(error)) from error

    @field_validator("candidates")
    @classmethod
    def _simple(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is None:
            return None
        try:
            found = tuple(registry.resolve("schemes", name) for name in names)
        except GradusError as error:
            raise ValueError(str(error)) from error
        for name in found:
            scheme = registry.load("schemes", name)
            if scheme.takes != "classifier" or scheme.trains or scheme.budget:
                raise ValueError(
                    f"{name} can't be one: candidates are schemes for classifiers that neither "
                    "train nor search"
                )
        return found

    @model_validator(mode="after")
    def _consistent(self) -> QuantizeConfig:
        kind = self.kind()
        auto = self.scheme == AUTO
        if kind is not None and kind.takes == "language":
            return self
        asks = {
            "stages": (self.stages is not None, not auto and kind.trains, "train"),
            "budget": (self.budget is not None, auto or kind.budget, "search"),
            "candidates": (self.candidates is not None, auto, "choose between schemes"),
            "target": (self.target is not None, auto, "choose between schemes"),
            "corpus": (self.corpus is not None, False, "take a language model"),
            "options": (bool(self.options), False, "take a language model"),
        }
        for name, (given, taken, does) in asks.items():
            if given and not taken:
                raise ValueError(f"{name}: scheme {self.scheme} doesn't {does}: leave it out")
        if self.data is None and self.calibration.data is not None:
            raise ValueError("calibration.data: name what the result is measured on in data, too")
        return self

    def kind(self) -> Any:
        """The scheme's class; None with ``auto``."""
        return None if self.scheme == AUTO else registry.load("schemes", self.scheme)


class Quantize(Step):
    """Compress a fine-tuned transformer or a language model under a scheme.

    What is handed to the scheme's runtime is compared with torch before it is compressed, and
    refused when it strays; how far the compressed checkpoint strays from its parent is a gate of
    its own (`gradus.parity`) and is measured on dev.gate (`parity_kl`, `parity_flips`), as its
    quality and cost are. Scales are settled and choices made on train and dev.select alone.
    """

    Config: ClassVar[type[StepConfig]] = QuantizeConfig
    summary: ClassVar[str] = "make a fine-tuned model smaller and faster"
    example: ClassVar[str] = """\
id: small
step: quantize
model: tuned
data: news
scheme: int8-dynamic
vocabulary: trim
gates: ["accuracy >= tuned - 0.01", "latency_p50_ms <= 0.6 * tuned"]
"""

    @classmethod
    def needs(cls, config: QuantizeConfig) -> Needs:
        """One model, and the data sets that are named."""
        data = {} if config.data is None else {"data": config.data}
        if config.calibration.data is not None:
            data["calibration.data"] = config.calibration.data
        corpora = {} if config.corpus is None else {"corpus": config.corpus}
        return Needs(models={"model": config.model}, data=data, corpora=corpora)

    @classmethod
    def learns(cls, config: QuantizeConfig) -> bool:
        """Ranges settled on texts of train know no labels; a scheme that trains does."""
        kind = config.kind()
        return kind is not None and bool(kind.trains)

    @classmethod
    def produces(cls, config: QuantizeConfig) -> frozenset[str]:
        """Quality, cost, and parity with the parent."""
        kind = config.kind()
        if kind is not None and kind.takes == "language":
            metrics: frozenset[str] = kind.metrics()
            return metrics
        return frozenset(
            {*benchmarks.quality_metrics(), *CostBenchmark.metrics, *ParityBenchmark.metrics}
        )

    def run(self, config: QuantizeConfig, context: StepContext) -> StepOutcome:
        """Export, compress, save.

        Raises:
            CheckpointError: the model isn't a fine-tuned transformer, or its architecture can't
                be expressed in the scheme's format.
            DataError: the calibration texts stand in dev or test too.
            MissingExtra: the scheme's runtime isn't installed.
        """
        kind = config.kind()
        if kind is not None and kind.takes == "language":
            outcome: StepOutcome = kind().run(config, context)
            return outcome
        from gradus.compress.make import quantise

        return quantise(config, context)
