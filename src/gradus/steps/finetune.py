"""Step `finetune`: adapt a model to labelled texts, in stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from gradus import registry
from gradus.data.prepare import Preparations, Prepare
from gradus.errors import GradusError
from gradus.objectives.base import ObjectiveConfig
from gradus.parity.base import Bounds
from gradus.records import CheckpointRef
from gradus.steps.base import Needs, Step, StepConfig, StepContext, StepOutcome
from gradus.training.adapters.base import Adapter, Wanted, parse
from gradus.training.config import ADAPTER, StageConfig, default_stages

if TYPE_CHECKING:
    from gradus.data.dataset import TrainingData

Weight = Annotated[float, Field(gt=0)]
SHARED_OPTIONS = ("pooling", "normalise")


class FinetuneConfig(StepConfig):
    """What a plan says about a fine-tuning step.

    Attributes:
        model: name of a model of the plan, or id of an earlier step.
        data: name of a data set of the plan; several names for all of them in one training, or a
            mapping of names to weights. Each is measured on its own.
        temperature: with several data sets, shares go by the sizes to the power of 1 / T: 1 mixes
            by size, a high one evenly.
        sample: a share of train's texts, or a number of them, by content hash; all when left out.
        objective: name of an objective, or a mapping with its ``name`` and options.
        adapter: name of an adapter, or a mapping with its ``name`` and options: the model's own
            weights stay frozen, and the adapter's few train in their place.
        stages: phases in order; left out: a solved head, then all layers, or with an adapter
            all of it; no head where the objective has none. What a stage with an adapter leaves
            out is the adapter's to say.
        max_tokens: texts are cut there; 256, or what the checkpoint before was trained with,
            and never more than the model has positions for.
        pooling: short for the objective's option.
        normalise: short for the objective's option.
        batch_size: of every stage that doesn't say otherwise.
        batch_tokens: the same, in tokens.
        dtype: ``auto`` takes bfloat16 where the processor is fast at it.
        prepare: what is done to every text first, in this order (``gradus ls preparations``);
            left out, what the checkpoint before was trained with.
        parity: how far merging an adapter may move what the model says; see `gradus.parity`.
    """

    model: str
    data: str | Annotated[tuple[str, ...], Field(min_length=1)] | Mapping[str, Weight]
    temperature: Weight | None = None
    sample: Annotated[float, Field(gt=0, lt=1)] | PositiveInt | None = None
    objective: str | Mapping[str, Any] = "classify"
    adapter: str | Mapping[str, Any] | None = None
    stages: Annotated[tuple[StageConfig, ...], Field(min_length=1)] = default_stages()
    max_tokens: Annotated[int, Field(ge=2)] | None = None
    pooling: Literal["first", "mean", "last"] | None = None
    normalise: bool | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None
    batch_tokens: Annotated[int, Field(ge=1)] | None = None
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    prepare: Preparations | None = None
    parity: Bounds = Bounds()

    @model_validator(mode="before")
    @classmethod
    def _stages_of_the_adapter(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            return raw
        if raw.get("adapter") is None:
            if raw.get("stages") is None and not _headed(raw.get("objective", "classify")):
                return {**raw, "stages": [{"train": "all"}]}
            return raw
        try:
            kind = parse(raw["adapter"]).kind
        except (GradusError, ValueError, TypeError):
            # The field's own validator says what is wrong with it.
            return raw
        stages = raw.get("stages")
        if stages is None:
            stages = [{"train": "head"}, {"train": ADAPTER}]
            if not _headed(raw.get("objective", "classify")):
                stages = stages[1:]
        if not isinstance(stages, list | tuple):
            return raw
        return {**raw, "stages": [_filled(kind, stage) for stage in stages]}

    @field_validator("adapter")
    @classmethod
    def _known_adapter(
        cls, value: str | Mapping[str, Any] | None
    ) -> str | Mapping[str, Any] | None:
        if value is not None:
            try:
                parse(value)
            except GradusError as error:
                raise ValueError(str(error)) from error
        return value

    @model_validator(mode="after")
    def _adapted_stages(self) -> FinetuneConfig:
        for number, stage in enumerate(self.stages, 1):
            if self.adapter is None and stage.train == ADAPTER:
                raise ValueError(
                    f"stage {number} trains an adapter, and the step has none: add adapter: lora"
                )
            if self.adapter is not None and stage.embeddings:
                raise ValueError(
                    f"stage {number}: embeddings: true asks for the model's own weights, which "
                    "stay frozen under an adapter: leave one of the two out"
                )
        return self

    @field_validator("stages", mode="before")
    @classmethod
    def _left_out(cls, value: Any) -> Any:
        return default_stages() if value is None else value

    @field_validator("objective")
    @classmethod
    def _known_objective(cls, value: str | Mapping[str, Any]) -> str | Mapping[str, Any]:
        try:
            objective, options = _objective(value)
        except GradusError as error:
            raise ValueError(str(error)) from error
        if objective.corpora:
            raise ValueError(f"{options['name']} learns from corpora: take step pretrain")
        objective.Config.model_validate(options)
        return value

    @model_validator(mode="after")
    def _mixed(self) -> FinetuneConfig:
        names = self.names()
        if len(set(names)) < len(names):
            raise ValueError("data: names a data set twice: give it a weight instead")
        if isinstance(self.data, Mapping) and not names:
            raise ValueError("data: names no data set")
        if self.temperature is not None and (isinstance(self.data, Mapping) or len(names) < 2):
            raise ValueError("temperature: weighs several data sets that have no weights")
        return self

    def names(self) -> tuple[str, ...]:
        """The data sets."""
        return (self.data,) if isinstance(self.data, str) else tuple(self.data)

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

    def wanted_adapter(self) -> Wanted | None:
        """The adapter with its validated config."""
        return None if self.adapter is None else parse(self.adapter)

    def objective_config(self) -> tuple[Any, ObjectiveConfig]:
        """The objective's class and its validated config."""
        objective, options = _objective(self.objective)
        for name in SHARED_OPTIONS:
            value = getattr(self, name)
            if value is not None and name in objective.Config.model_fields:
                options = {**options, name: value}
        return objective, objective.Config.model_validate(options)


def _headed(objective: Any) -> bool:
    """Whether the objective has a head to begin with; True where its name says nothing."""
    try:
        return bool(_objective(objective)[0].headed)
    except (GradusError, ValueError, TypeError):
        return True  # the field's own validator says what is wrong with it


def _filled(kind: type[Adapter], stage: Any) -> Any:
    if isinstance(stage, StageConfig):
        return kind.fill(stage.model_dump(exclude_unset=True))
    return kind.fill(stage) if isinstance(stage, Mapping) else stage


def _objective(value: str | Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    options = {"name": value} if isinstance(value, str) else {"name": "classify", **value}
    return registry.load("objectives", str(options["name"])), options


class Finetune(Step):
    """Adapt a model in stages: each trains some of its layers, for some time, at some rate.

    Stages work their way down: a head on frozen features first, so that the features aren't
    damaged by a head that knows nothing yet (Kumar et al. 2022), then higher layers, then all
    (gradual unfreezing, Howard & Ruder 2018), or an adapter in the layers' place. A head alone is
    solved exactly unless the stage asks for gradient steps. What lies below the lowest layer that
    trains is computed once. Killed anywhere, the step goes on to the same bits.
    """

    Config: ClassVar[type[StepConfig]] = FinetuneConfig
    together: ClassVar[bool] = True
    summary: ClassVar[str] = "adapt a model to labelled texts, in stages"
    example: ClassVar[str] = """\
id: tuned
step: finetune
model: encoder
data: news
objective: classify
stages:
  - {train: head}
  - {train: top-2, epochs: 2, lr: 3.0e-4, patience: 1}
  - {train: all, epochs: 2, lr: 1.0e-4, layer_lr_decay: 0.8}
gates: ["accuracy >= 0.95"]
"""

    @classmethod
    def needs(cls, config: FinetuneConfig) -> Needs:
        """One model and its data sets."""
        names = config.names()
        if isinstance(config.data, str):
            return Needs(models={"model": config.model}, data={"data": config.data})
        mapped = isinstance(config.data, Mapping)
        keys = (f"data.{n}" if mapped else f"data[{i}]" for i, n in enumerate(names))
        return Needs(models={"model": config.model}, data=dict(zip(keys, names, strict=True)))

    @classmethod
    def produces(cls, config: FinetuneConfig) -> frozenset[str]:
        """The objective's metrics."""
        objective, _ = config.objective_config()
        metrics: frozenset[str] = objective.metrics()
        return metrics

    def run(self, config: FinetuneConfig, context: StepContext) -> StepOutcome:
        """Train, or go on with training, and save the checkpoint."""
        import torch

        from gradus.checkpoints import save_checkpoint, seen_items
        from gradus.checkpoints.hashing import hash_json
        from gradus.predict.postprocess import refuse
        from gradus.training.adapters.adapt import adapt, merge_with_parity
        from gradus.training.loop import train

        data = _training_data(config, context)
        torch.set_num_threads(context.threads)
        dtype = context.dtype if config.dtype == "auto" else config.dtype
        objective, options = config.objective_config()
        ref = context.models[config.model]
        torch.manual_seed(context.seed % 2**63)
        refuse(ref, "fine-tuning")
        prepare = preparations(config.prepare, ref)
        prepared = objective().prepare(
            options,
            ref=ref,
            data=prepare.data(data),
            monitor=context.monitor,
            max_tokens=config.max_tokens,
            seed=context.seed,
        )
        wanted = config.wanted_adapter()
        adapted = adapt(
            prepared.task.backbone,
            wanted,
            seed=context.seed,
            max_tokens=int(prepared.preprocessing["max_tokens"]),
        )
        trained = train(
            prepared.task,
            config.staged(),
            seed=context.seed,
            work=context.work,
            monitor=context.monitor,
            dtype=dtype,
            identity={
                "data": data.digest,
                "model": ref.digest,
                "objective": hash_json(options.model_dump(mode="json")),
                "preprocessing": hash_json({**prepared.preprocessing, **prepare.preprocessing()}),
                "adapter": hash_json(wanted.to_json() if wanted else None),
            },
        )
        merged = wanted is not None and wanted.config.merged
        parity = merge_with_parity(prepared.task) if merged else {}
        settled = prepared.settle()
        facts = {**prepared.facts, **adapted.facts, **parity, **settled, "dtype": dtype}
        facts["stages"] = [dict(s) for s in trained.stages]
        saved = save_checkpoint(
            context.out / "checkpoint",
            kind=prepared.kind,
            labels=prepared.labels,
            preprocessing={**prepared.preprocessing, **settled, **prepare.preprocessing()},
            parents=(ref,),
            facts={**facts, **seen_items(data.train.ids)},
            write=prepared.save,
        )
        return StepOutcome(
            checkpoint=context.out / "checkpoint",
            notes=(*prepared.notes, *adapted.notes),
            facts={**facts, "digest": saved.digest},
            cost=trained.cost,
        )


def _training_data(config: FinetuneConfig, context: StepContext) -> TrainingData:
    """What is trained on: one data set or several mixed, all of train or a sample."""
    from gradus.data.mixing import mixed

    if context.data is None:
        raise GradusError(f"step {context.id}: finetune needs data")
    found = context.data
    if not isinstance(config.data, str):
        found = mixed(
            {name: context.datasets[name] for name in config.names()},
            weights=config.data if isinstance(config.data, Mapping) else None,
            temperature=config.temperature,
            seed=context.seed,
        )
    if config.sample is None:
        return found
    size = len(found.train)
    count = config.sample if isinstance(config.sample, int) else round(config.sample * size)
    return replace(found, train=found.train.sample(min(size, max(1, count))))


def preparations(wanted: Preparations | None, ref: CheckpointRef) -> Prepare:
    """What is done to texts first: as asked for, else as the checkpoint before did."""
    from gradus.checkpoints import find_manifest

    if wanted is not None:
        return Prepare(wanted)
    manifest = find_manifest(Path(ref.path))
    return Prepare.of(manifest.preprocessing) if manifest else Prepare()
