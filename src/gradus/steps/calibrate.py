"""Step `calibrate`: settle on dev.select what is done with a checkpoint's answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gradus import benchmarks
from gradus.benchmarks.cost import CostBenchmark
from gradus.steps.base import Needs, Step, StepConfig, StepContext, StepOutcome

Share = Annotated[float, Field(gt=0, lt=1)]


class Abstain(BaseModel):
    """When no answer is given: exactly one of the first three.

    Attributes:
        accuracy: answer as much as can be while answers are right in at least this share of cases,
            surely (Learn then test, Angelopoulos et al. 2021).
        coverage: answer this share of texts, the surest.
        below: abstain below this probability, whatever comes of it.
        confidence: how surely `accuracy` is kept; left out, 0.95.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    accuracy: Share | None = None
    coverage: Share | None = None
    below: Annotated[float, Field(ge=0, le=1)] | None = None
    confidence: Share | None = None

    @model_validator(mode="after")
    def _one(self) -> Abstain:
        given = [n for n in ("accuracy", "coverage", "below") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError("abstain: give one of accuracy, coverage and below")
        if self.accuracy is None and self.confidence is not None:
            raise ValueError("abstain: confidence is of accuracy: leave it out")
        return self


class CalibrateConfig(StepConfig):
    """Config of `calibrate`.

    Attributes:
        model: any checkpoint that predicts labels, sets of them or spans, not yet calibrated.
        data: what is fitted on and measured; left out, the data of the model's step.
        temperature: ``fit`` for the most likely one on dev.select, a number, or null for none.
        thresholds: the metric that thresholds by label shall make greatest, e.g. ``f1_macro`` or
            ``multilabel_f1_macro``; they are kept where they help on items held out.
        abstain: when no answer is given: ``{accuracy: 0.95}``, ``{coverage: 0.8}`` or
            ``{below: 0.6}``; of spans only ``below``, which leaves out spans.
        label_map: what labels are called from here on; several may become one.
        repair: of spans: how they are made of tags: ``viterbi``, ``begin`` or ``drop``, see
            `gradus.predict.postprocess`.
    """

    model: str
    data: str | None = None
    temperature: Literal["fit"] | Annotated[float, Field(gt=0)] | None = "fit"
    thresholds: str | None = None
    abstain: Abstain | None = None
    label_map: Mapping[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    repair: Literal["viterbi", "begin", "drop"] | None = None


class Calibrate(Step):
    """Temperature, thresholds, abstention and label map, fitted on dev.select and stored.

    The checkpoint has the model's files and says in its manifest what is done with their answers;
    whoever loads it does it: prediction, evaluation, export. Temperature scaling (Guo et al. 2017)
    changes no label, only how sure it is said. Training refuses such a checkpoint: calibrate last.
    """

    Config: ClassVar[type[StepConfig]] = CalibrateConfig
    seeded: ClassVar[bool] = False
    summary: ClassVar[str] = "probabilities that mean what they say, thresholds, when to abstain"
    example: ClassVar[str] = """\
id: calibrated
step: calibrate
model: tuned
data: news
thresholds: f1_macro
abstain: {coverage: 0.9}
gates: ["log_loss <= tuned + 0.01", "aurc < calibrated.aurc_random"]
"""

    @classmethod
    def needs(cls, config: CalibrateConfig) -> Needs:
        """One model, and its data set."""
        data = {} if config.data is None else {"data": config.data}
        return Needs(models={"model": config.model}, data=data)

    @classmethod
    def learns(cls, config: CalibrateConfig) -> bool:
        """It fits a few numbers on dev.select alone."""
        return False

    @classmethod
    def produces(cls, config: CalibrateConfig) -> frozenset[str]:
        """Quality and cost."""
        return frozenset({*benchmarks.quality_metrics(), *CostBenchmark.metrics})

    def run(self, config: CalibrateConfig, context: StepContext) -> StepOutcome:
        """Ask dev.select, fit, save.

        Raises:
            CheckpointError: the model is calibrated already, or predicts something else.
            DataError: dev.select is empty.
            TrainingError: no threshold keeps the accuracy that is asked for.
        """
        from gradus.calibrate.fitting import calibrate

        return calibrate(config, context)
