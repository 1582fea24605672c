"""Step `pretrain`: a language model from raw text, from nothing or from where another stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gradus import registry
from gradus.errors import GradusError
from gradus.records import CheckpointRef
from gradus.steps.base import Needs, Step, StepConfig, StepContext, StepOutcome
from gradus.training.architectures import ArchitectureConfig
from gradus.training.choice import Choice
from gradus.training.config import DEFAULT_OPTIMISER
from gradus.training.optimisers.base import OptimiserConfig
from gradus.training.pretraining import PretrainStage

if TYPE_CHECKING:
    from gradus.objectives.language import LanguageObjective

Whole = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]

BUDGETS = ("steps", "tokens", "epochs", "minutes")
BATCH_BLOCKS = 16
# What a stage of `gradus.training.pretraining` takes over from the step as it is written there.
PASSED = (
    *BUDGETS,
    "optimiser",
    "lr",
    "schedule",
    "warmup",
    "decay",
    "floor",
    "weight_decay",
    "clip",
    "average",
    "on_spike",
    "compile",
    "milestones",
)


class Part(BaseModel):
    """Base of the mappings inside the step's config."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MixConfig(Part):
    """Several corpora in one training.

    Attributes:
        mix: corpora, with the share of the text that is to come from each, in any unit; or a list,
            whose shares then follow their sizes.
        temperature: shares become their 1 / T-th powers: above 1, small corpora are seen more
            often than their size says (Devlin 2019's multilingual BERT; Conneau et al. 2020,
            section 3.1).
    """

    mix: dict[str, Positive] | tuple[str, ...] = Field(min_length=1)
    temperature: Positive = 1.0


class ValidateConfig(Part):
    """Validation while it trains, on dev.select.

    Attributes:
        every: updates between two validations; left out, one after each epoch.
        documents: so many documents of each corpus, a random sample; all if left out.
        samples: prompts that the model goes on with at each validation.
        sample_tokens: how far.
        benchmarks: on files, asked of the model at each validation: ``{lambada: {path: PATH, limit:
            50}}``, as in step `evaluate`. What is measured afterwards, a step `evaluate` says.
        patience: stop after so many validations without a lower loss, and keep the best.
        gap_blocks: blocks of train that the gap between train and dev.select is followed on; 0
            for none.
    """

    every: Whole | None = None
    documents: Whole | None = None
    samples: tuple[str, ...] = ()
    sample_tokens: Whole = 64
    benchmarks: tuple[str | dict[str, Any], ...] = ()
    patience: Whole | None = None
    gap_blocks: Annotated[int, Field(ge=0)] = 64

    @field_validator("benchmarks")
    @classmethod
    def _known_benchmarks(
        cls, entries: tuple[str | dict[str, Any], ...]
    ) -> tuple[str | dict[str, Any], ...]:
        from gradus.benchmarks import named

        try:
            found = [named.read(entry) for entry in entries]
            for one in found:
                one.load().Config.model_validate(dict(one.options))
        except GradusError as error:
            raise ValueError(str(error)) from error
        again = named.twice(found)
        if again is not None:
            raise ValueError(f"'{again}' stands there twice: give one another name")
        return entries


class KeepConfig(Part):
    """Snapshots kept: the last ones, whole, and the best weights."""

    last: Annotated[int, Field(ge=0)] = 1
    best: Annotated[int, Field(ge=0)] = 1


class PretrainConfig(StepConfig):
    """What a plan says about pretraining.

    Attributes:
        corpus: name of a corpus of the plan.
        corpora: instead of it several: with shares, ``{plays: 0.7, news: 0.3}``, or as ``{mix: ...,
            temperature: 2}``.
        tokenizer: a step `tokenizer`, or a model whose tokenizer is taken; left out where `model`
            names one that has its own.
        model: an architecture, ``{architecture: gpt2, layers: 6, width: 384}``, or the name of a
            model or step to go on from.
        objective: ``causal-lm`` or ``masked-lm``, or a mapping with its ``name`` and options; what
            the architecture is made for if left out.
        block: tokens that see one another.
        documents: ``joined``: a block goes on across documents; ``apart``: none sees another.
        batch_size: blocks a batch; 16, or with `depth` what the recipe gives.
        accumulate: batches an update.
        steps: budget in updates. Where no budget is given: with `depth` 20 tokens a parameter, else
            one epoch.
        tokens: budget in tokens trained on.
        epochs: budget in passes over train.
        minutes: budget in time.
        optimiser: name of an optimiser, or a mapping with its ``name`` and options; beta2 is 0.95
            where it has one and doesn't say (Brown et al. 2020, appendix B).
        lr: highest learning rate; left out, from scratch what `gradus.training.architectures`
            gives for the model's size, else the optimiser's usual one.
        schedule: ``wsd`` holds the rate and lets it fall at the end; ``cosine``, ``linear``,
            ``constant``.
        warmup: updates, or below 1 a share of all.
        decay: of ``wsd``: updates, or below 1 a share of all, over which the rate falls.
        floor: lowest share of the rate at the end.
        weight_decay: decoupled; never on biases and norms.
        clip: greatest norm of the gradient.
        z_loss: weight of the squared logarithm of the softmax's denominator; 1e-4 in PaLM.
        average: decay of the weights' exponential moving average, which is validated and kept.
        validate: see `ValidateConfig`.
        on_spike: what a loss far above the usual does: ``warn``, ``skip``, ``rollback``.
        keep: see `KeepConfig`.
        compile: whether layers are compiled; ``auto`` where it pays.
        dtype: ``auto`` takes bfloat16 where the processor is fast at it; weights stay float32.
        milestones: numbers of updates after which the weights become checkpoints of their own:
            ``base.at-100`` is what ``base`` was after 100 updates of the same training.
    """

    # `validate` would hide a method of pydantic's, so the field has another name inside.
    model_config = ConfigDict(serialize_by_alias=True)

    corpus: str | None = None
    corpora: MixConfig | None = None
    tokenizer: str | None = None
    model: ArchitectureConfig | str
    objective: str | Mapping[str, Any] | None = None
    block: Annotated[int, Field(ge=4)] = 256
    documents: Literal["joined", "apart"] = "joined"
    batch_size: Whole | None = None
    accumulate: Whole | None = None
    steps: Whole | None = None
    tokens: Whole | None = None
    epochs: Positive | None = None
    minutes: Positive | None = None
    optimiser: Annotated[OptimiserConfig, Choice("optimisers")] = Field(
        default=DEFAULT_OPTIMISER, validate_default=True
    )
    lr: Positive | None = None
    schedule: Literal["constant", "linear", "cosine", "wsd"] = "wsd"
    warmup: Annotated[float, Field(ge=0)] = 0.02
    decay: Positive = 0.2
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    clip: Positive | None = 1.0
    z_loss: Annotated[float, Field(ge=0)] = 0.0
    average: Annotated[float, Field(gt=0, lt=1)] | None = None
    validation: ValidateConfig = Field(default_factory=ValidateConfig, alias="validate")
    on_spike: Literal["warn", "skip", "rollback"] = "warn"
    keep: KeepConfig = Field(default_factory=KeepConfig)
    compile: Literal["auto"] | bool = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    milestones: tuple[Whole, ...] = ()

    @field_validator("milestones")
    @classmethod
    def _ascending(cls, milestones: tuple[int, ...]) -> tuple[int, ...]:
        if list(milestones) != sorted(set(milestones)):
            raise ValueError("milestones are numbers of updates, each greater than the one before")
        return milestones

    @field_validator("corpora", mode="before")
    @classmethod
    def _short_mix(cls, value: Any) -> Any:
        if isinstance(value, list | tuple) or (isinstance(value, Mapping) and "mix" not in value):
            return {"mix": value}
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.corpus is None) == (self.corpora is None):
            raise ValueError("name one corpus in 'corpus' or several in 'corpora'")
        if isinstance(self.model, str) and self.tokenizer is not None:
            raise ValueError(f"'{self.model}' has a tokenizer: leave 'tokenizer' out")
        if not isinstance(self.model, str) and self.tokenizer is None:
            raise ValueError("a model from scratch needs a 'tokenizer': name a step tokenizer")
        given = [name for name in BUDGETS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of {', '.join(BUDGETS)}, not {' and '.join(given)}")
        if self.steps is not None and self.milestones and self.milestones[-1] >= self.steps:
            raise ValueError(
                f"milestone {self.milestones[-1]} isn't before the end, which is after "
                f"{self.steps} updates: the checkpoint itself is what stands there"
            )
        objective, _ = self.settled()
        asked = [name for name in ("samples", "benchmarks") if getattr(self.validation, name)]
        if asked and not objective.causal:
            raise ValueError(f"validate: {asked[0]} need a causal model, which goes on with texts")
        if not isinstance(self.model, str):
            made_for = self.model.objective
            if objective.causal != (made_for == "causal-lm"):
                raise ValueError(f"{self.model.architecture} is made for objective {made_for}")
        self.stage(self.block)
        return self

    def settled(self) -> tuple[type[LanguageObjective], Any]:
        """The objective's class and its validated config."""
        from gradus.objectives.language import LanguageObjective

        usual = "causal-lm" if isinstance(self.model, str) else self.model.objective
        asked = self.objective or usual
        options = {"name": asked} if isinstance(asked, str) else {"name": usual, **asked}
        try:
            objective = registry.load("objectives", str(options["name"]))
        except GradusError as error:
            raise ValueError(f"objective: {error}") from error
        if not issubclass(objective, LanguageObjective):
            raise ValueError(  # noqa: TRY004  # pydantic tells a fault of the plan from it
                f"objective {options['name']} needs labels: take step finetune, or here causal-lm "
                "or masked-lm"
            )
        return objective, objective.Config.model_validate(options)

    def weighed(self) -> tuple[dict[str, float | None], float]:
        """Corpus -> share (None where its size says it), and the temperature."""
        if self.corpora is None:
            return {str(self.corpus): None}, 1.0
        mix = self.corpora.mix
        shares: dict[str, float | None] = {}
        shares |= mix if isinstance(mix, dict) else dict.fromkeys(mix)
        return shares, self.corpora.temperature

    def stage(self, block: int) -> PretrainStage:
        """The one stage that this is, with what follows from the model's size."""
        from gradus.training.architectures import recipe

        said = {name: getattr(self, name) for name in PASSED}
        made = {name: value for name, value in said.items() if value is not None}
        batch, accumulate = self.batch_size, self.accumulate
        if not isinstance(self.model, str):
            follows = recipe(self.model.shape(block), block)
            if self.model.depth is not None:
                if not any(name in made for name in BUDGETS):
                    made["tokens"] = follows.tokens
                if batch is None:
                    batch, accumulate = _shared(follows.batch_tokens, block, accumulate)
            made.setdefault("lr", follows.lr)
        if not any(name in made for name in BUDGETS):
            made["epochs"] = 1.0
        stage = PretrainStage(
            **made,
            batch_size=batch or BATCH_BLOCKS,
            accumulate=accumulate or 1,
            validate_every=self.validation.every,
            patience=self.validation.patience,
            gap_rows=self.validation.gap_blocks,
            keep_last=self.keep.last,
            keep_best=self.keep.best,
        )
        own = type(stage.optimiser).model_fields.get("beta2")
        if own is not None and getattr(stage.optimiser, "beta2", None) == own.default:
            stage = stage.model_copy(update={"beta2": 0.95})
        return stage


def _shared(batch_tokens: int, block: int, accumulate: int | None) -> tuple[int, int]:
    """Blocks a batch and batches an update for so many tokens an update; 16,384 a batch at most."""
    blocks = max(1, round(batch_tokens / block))
    batches = accumulate or -(-blocks * block // 16_384)
    return max(1, round(blocks / batches)), batches


class Pretrain(Step):
    """Train a language model on corpora, from scratch or on from any checkpoint.

    The same loop as fine-tuning's, over blocks of a tokenised corpus. While it trains it is
    validated on dev.select, on a schedule: loss with its interval, bits a byte by domain and
    language, the gap to train, samples. Killed anywhere, it goes on to the same bits.
    """

    Config: ClassVar[type[StepConfig]] = PretrainConfig
    together: ClassVar[bool] = True
    summary: ClassVar[str] = "train a language model on corpora, from scratch or continued"
    example: ClassVar[str] = """\
id: base
step: pretrain
corpus: plays
tokenizer: lm
model: {architecture: gpt2, layers: 2, width: 64}
block: 32
steps: 20
lr: 1.0e-3
validate: {every: 10}
"""

    @classmethod
    def needs(cls, config: PretrainConfig) -> Needs:
        """The corpora, the tokenizer, and the model that is gone on from."""
        models = {} if config.tokenizer is None else {"tokenizer": config.tokenizer}
        if isinstance(config.model, str):
            models["model"] = config.model
        corpora = {} if config.corpus is None else {"corpus": config.corpus}
        if config.corpus is None:
            corpora = {f"corpora.{name}": name for name in config.weighed()[0]}
        return Needs(models=models, corpora=corpora, takes={"tokenizer": ("tokenizer", "model")})

    @classmethod
    def produces(cls, config: PretrainConfig) -> frozenset[str]:
        """The objective's metrics."""
        objective, _ = config.settled()
        return objective.metrics()

    def run(self, config: PretrainConfig, context: StepContext) -> StepOutcome:
        """Train, or go on with training, and save the checkpoint."""
        import torch

        from gradus import hardware
        from gradus.checkpoints import save_checkpoint
        from gradus.training import milestones
        from gradus.training.language_setup import prepare
        from gradus.training.loop import train

        torch.set_num_threads(context.threads)
        dtype = context.dtype if config.dtype == "auto" else config.dtype
        prepared = prepare(config, context, dtype)
        trained = train(
            prepared.task,
            [prepared.stage],
            seed=context.seed,
            work=context.work,
            monitor=context.monitor,
            dtype=dtype,
            identity=prepared.identity,
            probes=prepared.probes,
            ceiling=hardware.ceilings()["matmul_gflops"][dtype] * 1e9,
        )
        facts = {**prepared.facts, "dtype": dtype, "stages": [dict(s) for s in trained.stages]}

        def saved_as(name: str, facts: Mapping[str, Any]) -> CheckpointRef:
            return save_checkpoint(
                context.out / name,
                kind="transformer",
                labels=(),
                preprocessing=prepared.preprocessing,
                parents=prepared.parents,
                facts=facts,
                write=prepared.save,
            )

        saved = saved_as("checkpoint", facts)
        extras, unreached = milestones.save(
            prepared.task,
            config.milestones,
            context.work,
            lambda name, at: Path(saved_as(name, {**prepared.facts, "dtype": dtype, **at}).path),
        )
        return StepOutcome(
            checkpoint=context.out / "checkpoint",
            extras=extras,
            notes=(*prepared.notes, *unreached),
            facts={**facts, "digest": saved.digest},
            cost=trained.cost,
        )
