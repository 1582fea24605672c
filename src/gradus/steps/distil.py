"""Step `distil`: a small model learns from a large one, or from several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gradus import registry
from gradus.data.prepare import Preparations
from gradus.errors import GradusError
from gradus.objectives.base import ObjectiveConfig
from gradus.steps.base import Needs, Step, StepConfig, StepContext, StepOutcome
from gradus.training.config import ADAPTER, StageConfig, default_stages
from gradus.training.distil.language_config import LanguageSettings
from gradus.training.teachers.config import Teachers, Weighting, shares

Factor = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
CAUSAL = "causal-lm"
_INSIDE = ("hidden", "attention", "relations")


class Shape(BaseModel):
    """Sizes of a student that is made anew; `heads` and `inner` keep the teacher's proportions
    when left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: Count
    width: Annotated[int, Field(ge=2)]
    heads: Count | None = None
    inner: Count | None = None


class StudentConfig(BaseModel):
    """Who learns; one of the four.

    Attributes:
        layers: so many of the first teacher's layers, evenly spaced from the lowest up.
        keep: these of them, from 0.
        model: name of a model of the plan, or id of an earlier step.
        config: the first teacher's architecture and tokenizer, in these sizes, untrained.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: Count | None = None
    keep: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] | None = None
    model: str | None = None
    config: Shape | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"say one of layers, keep, model and config, not {' and '.join(given) or 'none'}"
            )
        if self.keep is not None and list(self.keep) != sorted(set(self.keep)):
            raise ValueError("keep: the teacher's layers in ascending order, each once")
        return self

    def told(self, teacher: str) -> str:
        """Where its layers come from, after their number, in words."""
        if self.config is not None:
            return f"of the architecture of '{teacher}', untrained"
        if self.keep is not None:
            return f"of '{teacher}': {', '.join(map(str, self.keep))}"
        return f"of '{teacher}', evenly spaced"


class LossesConfig(BaseModel):
    """What each term of the loss is multiplied with; one of weight 0 isn't computed.

    Attributes:
        soft: divergence of the student's from the teachers' distribution at the temperature T,
            times T squared (Hinton, Vinyals & Dean 2015); of numbers the squared difference.
        hard: the objective's own loss of the labels.
        hidden: hidden states, through a learned projection where widths differ (TinyBERT, Jiao et
            al. 2020), over the size of the teacher's.
        attention: attention scores (TinyBERT).
        relations: relations between queries, keys and values of the last layer (MiniLM, Wang et
            al. 2020; in the form of 2021, for any number of heads).
        reverse: divergence of the teachers' from the student's distribution; language models only.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    soft: Factor = 1.0
    hard: Factor = 0.5
    hidden: Factor = 0.0
    attention: Factor = 0.0
    relations: Factor = 0.0
    reverse: Factor = 0.0

    @model_validator(mode="after")
    def _teaches(self) -> Self:
        if not any((self.soft, self.reverse, *(getattr(self, name) for name in _INSIDE))):
            raise ValueError("every term that a teacher has a part in is 0: take step finetune")
        return self


class DistilConfig(StepConfig):
    """What a plan says about distilling.

    Attributes:
        teachers: name of a step or a model, a list of them, or a mapping of names to weights. The
            first gives the student its layers or its shape, and its insides are compared.
        weighting: how several are mixed: ``fixed`` by these weights, ``learned``, by ``agreement``
            with the label, or by ``confidence``.
        student: who learns.
        data: name of a data set; left out, that of the step that the teacher comes from.
        corpus: instead, name of a corpus, for causal language models.
        unlabelled: a data set or a corpus whose train texts are learnt from without labels.
        objective: name of an objective, or a mapping with its ``name`` and options; left out, what
            the data are labelled with says it.
        losses: weights of the terms.
        temperature: T, what soft targets are softened by.
        alone: whether the same student is trained without a teacher too, from the same weights, by
            the same seed and the same stages: checkpoint ``ID.alone``.
        language: of a corpus: how it is cut, and how its teachers are asked.
        stages: phases in order, as in ``finetune``; left out, a solved head and then all layers,
            and with a corpus all layers and embeddings.
        max_tokens: texts are cut there; what the student's start says when left out.
        batch_size: of every stage that doesn't say otherwise.
        batch_tokens: the same, in tokens.
        dtype: ``auto`` takes bfloat16 where the processor is fast at it.
        prepare: what is done to every text first; left out, what the student's start says.
    """

    teachers: Teachers
    weighting: Weighting = "fixed"
    student: StudentConfig
    data: str | None = None
    corpus: str | None = None
    unlabelled: str | None = None
    objective: str | Mapping[str, Any] | None = None
    losses: LossesConfig = LossesConfig()
    temperature: Annotated[float, Field(gt=0)] = 2.0
    alone: bool = False
    language: LanguageSettings = LanguageSettings()
    stages: Annotated[tuple[StageConfig, ...], Field(min_length=1)] = default_stages()
    max_tokens: Annotated[int, Field(ge=2)] | None = None
    batch_size: Count | None = None
    batch_tokens: Count | None = None
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    prepare: Preparations | None = None

    @model_validator(mode="before")
    @classmethod
    def _usual_stages(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping) or raw.get("stages") is not None:
            return raw
        # A language model's head is its embeddings or as large: there is nothing to solve.
        causal = raw.get("corpus") is not None
        usual = (StageConfig(train="all", embeddings=True),) if causal else default_stages()
        return {**raw, "stages": usual}

    @field_validator("objective")
    @classmethod
    def _known_objective(
        cls, value: str | Mapping[str, Any] | None
    ) -> str | Mapping[str, Any] | None:
        if value is None:
            return value
        try:
            objective, options = _objective(value)
        except GradusError as error:
            raise ValueError(str(error)) from error
        objective.Config.model_validate(options)
        return value

    @model_validator(mode="after")
    def _fitting_objective(self) -> Self:
        if self.objective is not None:
            objective, options = _objective(self.objective)
            if objective.corpora and (self.corpus is None or not objective.causal):
                raise ValueError(
                    f"objective: {options['name']}: it is causal-lm that takes a corpus"
                )
            if self.corpus is not None and not objective.corpora:
                raise ValueError(f"objective: {options['name']}: learns from data, not a corpus")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.shares()) == 1 and self.weighting != "fixed":
            raise ValueError(f"weighting: {self.weighting}: there is one teacher: leave it out")
        if any(stage.train == ADAPTER for stage in self.stages):
            raise ValueError("stages: a student is trained itself, it has no adapter")
        if self.corpus is None and self.losses.reverse:
            raise ValueError("losses: reverse: is of language models, which take a corpus")
        if self.corpus is not None:
            return self._of_language()
        if self.language != LanguageSettings():
            raise ValueError("language: is of language models, which take a corpus")
        return self

    def _of_language(self) -> Self:
        inside = [name for name in _INSIDE if getattr(self.losses, name)]
        if inside:
            raise ValueError(f"losses: {inside[0]}: isn't compared of language models")
        if self.unlabelled is not None:
            raise ValueError("unlabelled: a corpus has no labels: add the texts to it")
        if self.weighting == "learned":
            raise ValueError("weighting: learned: isn't to be had of language models")
        return self

    def shares(self) -> dict[str, float]:
        """Teacher -> weight, together 1."""
        return shares(self.teachers)

    def staged(self) -> tuple[StageConfig, ...]:
        """The stages with the step's batch size filled in."""
        shared = {"batch_size": self.batch_size, "batch_tokens": self.batch_tokens}
        given = {name: value for name, value in shared.items() if value is not None}
        return tuple(
            stage
            if stage.solved or stage.batch_size or stage.batch_tokens
            else stage.model_copy(update=given)
            for stage in self.stages
        )

    def objective_config(self, target: str) -> tuple[Any, ObjectiveConfig]:
        """The objective's class and its validated config, for data with this target."""
        usual = {"number": "regress", "spans": "tag"}.get(target, "classify")
        objective, options = _objective(self.objective or usual)
        return objective, objective.Config.model_validate(options)


def _objective(value: str | Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    options = {"name": value} if isinstance(value, str) else {"name": "classify", **value}
    return registry.load("objectives", str(options["name"])), options


class Distil(Step):
    """Train a small model on what a large one says, beside the labels (Hinton et al. 2015).

    What teachers say of train is computed once and kept; hidden states and attention, where they
    are compared, come from running the first teacher beside the student. With ``alone: true`` the
    same student is trained on labels alone, so that a gate can ask for what distilling itself
    gave: ``accuracy > ID.alone``.
    """

    Config: ClassVar[type[StepConfig]] = DistilConfig
    together: ClassVar[bool] = True
    summary: ClassVar[str] = "a small model learns from a large one, or from several"
    example: ClassVar[str] = """\
id: small
step: distil
teachers: tuned
student: {layers: 2}
data: news
losses: {soft: 1.0, hard: 0.5, hidden: 1.0}
temperature: 2.0
stages:
  - {train: all, epochs: 2, lr: 1.0e-3, batch_size: 16}
alone: true
gates: ["accuracy >= small.alone - 0.2"]
"""

    @classmethod
    def needs(cls, config: DistilConfig) -> Needs:
        """Its teachers, the student where it is a checkpoint, and data or a corpus."""
        names = list(config.shares())
        if isinstance(config.teachers, str):
            models = {"teachers": names[0]}
        elif isinstance(config.teachers, Mapping):
            models = {f"teachers.{name}": name for name in names}
        else:
            models = {f"teachers[{i}]": name for i, name in enumerate(names)}
        if config.student.model is not None:
            models["student.model"] = config.student.model
        return Needs(
            models=models,
            data={"data": config.data} if config.data and not config.corpus else {},
            corpora={"corpus": config.corpus} if config.corpus is not None else {},
            either={"unlabelled": config.unlabelled} if config.unlabelled is not None else {},
        )

    @classmethod
    def produces(cls, config: DistilConfig) -> frozenset[str]:
        """What its objective is measured by; of labelled data, whatever their target is."""
        if config.corpus is not None:
            names = [CAUSAL]
        elif config.objective is not None:
            names = [str(_objective(config.objective)[1]["name"])]
        else:
            names = ["classify", "regress", "tag"]
        found = (registry.load("objectives", name).metrics() for name in names)
        return frozenset().union(*found)

    def run(self, config: DistilConfig, context: StepContext) -> StepOutcome:
        """Train student and, where it is asked for, the same alone; save them."""
        from gradus.training.distil import running

        return running.run(config, context)
