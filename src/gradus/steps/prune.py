"""Step `prune`: take away what matters least of a model, and train what remains."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gradus import benchmarks
from gradus.benchmarks.corpus import CorpusBenchmark
from gradus.benchmarks.cost import CostBenchmark
from gradus.benchmarks.masked import MaskedBenchmark
from gradus.benchmarks.parity import ParityBenchmark
from gradus.errors import TrainingError
from gradus.steps.base import Needs, Step, StepConfig, StepContext, StepOutcome
from gradus.training.config import StageConfig

if TYPE_CHECKING:
    from gradus.compress.prune.subject import Subject
    from gradus.records import CheckpointRef

What = Literal["heads", "units", "layers", "weights"]
Method = Literal["magnitude", "wanda", "michel", "taylor", "removal", "influence", "top"]
Share = Annotated[float, Field(gt=0, lt=1)]
Whole = Annotated[int, Field(ge=1)]

# What can be pruned -> the methods that can choose of it, the usual one first.
METHODS: Final[dict[str, tuple[Method, ...]]] = {
    "heads": ("michel", "magnitude"),
    "units": ("taylor", "magnitude"),
    "layers": ("removal", "influence", "top"),
    "weights": ("magnitude", "wanda"),
}
# Heads differ most between layers (Michel et al. 2019); of the rest each layer gives its share.
SCOPES: Final = {"heads": "model"}
TWO_OF_FOUR: Final = 0.5
# Saved weights and those in memory are the same numbers; layouts may round sums differently.
RELOADED: Final = 1e-4


class Part(BaseModel):
    """Base of the mappings inside the step's config."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Gradual(Part):
    """Pruning in several rounds, with training between them.

    Attributes:
        rounds: how many; ``{gradual: 8}`` is short for it.
        shape: how much is gone after each: ``cubic`` takes most of it early (Zhu and Gupta 2017),
            ``linear`` as much in each round.
        stages: what is trained after each round but the last, which `recover` follows.
    """

    rounds: Annotated[int, Field(ge=2, alias="gradual")]
    shape: Literal["cubic", "linear"] = "cubic"
    stages: Annotated[tuple[StageConfig, ...], Field(min_length=1)] = (
        StageConfig(train="all", epochs=0.5, schedule="constant"),
    )

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


class Sensitivity(Part):
    """Each layer pruned alone, to see what it bears.

    Attributes:
        texts: of train that the loss is taken on; 0 for no such look.
        amounts: shares that are tried.
    """

    texts: Annotated[int, Field(ge=0)] = 128
    amounts: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.25, 0.5, 0.75)


class PruneConfig(StepConfig):
    """What a plan says about pruning.

    Attributes:
        model: a finetune step, any tuned transformer, or with `corpus` a language model.
        data: what it was tuned on: calibration and recovery take train, curves dev.select; left
            out, the data of the model's step.
        corpus: for a language model, a corpus in the place of data.
        what: ``heads`` of attention, feed-forward ``units``, whole ``layers``, single ``weights``;
            or ``[heads, units]``.
        amount: share that goes; 0.5 under pattern 2:4.
        method: how what goes is chosen; left out, the usual one. ``magnitude``; ``wanda``
            (weights); ``michel`` (heads) and ``taylor`` (units): what the loss loses to first
            order; of layers ``removal`` (the loss without them), ``influence`` (how far they turn
            hidden states), ``top`` (the highest go).
        pattern: of weights: ``unstructured``, or ``2:4`` for two in every four.
        scope: ``layer`` takes the same share of each layer, ``model`` ranks over all; left out,
            ``model`` for heads and ``layer`` for the rest.
        schedule: ``one-shot``, or ``{gradual: ROUNDS}`` with what `Gradual` knows.
        recover: stages of training afterwards, as in finetune; ``[]`` for none.
        calibration: texts (blocks of a corpus) of train that importance is taken on.
        sensitivity: see `Sensitivity`.
        block: tokens of a block of a corpus.
        dtype: of training; ``auto`` takes bfloat16 where the processor is fast at it.
    """

    model: str
    data: str | None = None
    corpus: str | None = None
    what: What | Annotated[tuple[Literal["heads", "units"], ...], Field(min_length=1)]
    amount: Share | None = None
    method: Method | None = None
    pattern: Literal["unstructured", "2:4"] = "unstructured"
    scope: Literal["layer", "model"] | None = None
    schedule: Literal["one-shot"] | Gradual = "one-shot"
    recover: tuple[StageConfig, ...] = (StageConfig(train="all", epochs=1),)
    calibration: Whole = 256
    sensitivity: Sensitivity = Field(default_factory=Sensitivity)
    block: Annotated[int, Field(ge=4)] = 256
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"

    @field_validator("schedule", mode="before")
    @classmethod
    def _a_schedule(cls, value: Any) -> Any:
        if isinstance(value, str) and value != "one-shot":
            raise ValueError(f"'{value}' is neither one-shot nor a mapping such as {{gradual: 8}}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.parts)) < len(self.parts):
            raise ValueError("what: names the same twice")
        if self.pattern == "2:4":
            if self.what != "weights":
                raise ValueError("pattern 2:4 is of weights: it needs what: weights")
            if self.amount not in (None, TWO_OF_FOUR) or self.gradual is not None:
                raise ValueError(
                    "pattern 2:4 takes one half at once: leave amount and schedule out"
                )
        elif self.amount is None:
            raise ValueError("amount: say which share shall go, e.g. amount: 0.5")
        known = sorted({name for what in self.parts for name in METHODS[what]})
        if self.method is not None and any(self.method not in METHODS[w] for w in self.parts):
            raise ValueError(
                f"method {self.method} doesn't choose {' and '.join(self.parts)}; "
                f"take one of {', '.join(known)}"
            )
        if self.scope is not None and (
            self.what == "layers" or self.method == "wanda" or self.pattern == "2:4"
        ):
            raise ValueError("scope: layers are ranked over the model, wanda and 2:4 by row")
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        """What is pruned, in order."""
        return (self.what,) if isinstance(self.what, str) else self.what

    @property
    def share(self) -> float:
        """The share that goes."""
        return TWO_OF_FOUR if self.amount is None else self.amount

    @property
    def structural(self) -> bool:
        """Whether heads or units go."""
        return self.parts[0] in ("heads", "units")

    @property
    def gradual(self) -> Gradual | None:
        """The rounds, where there are several."""
        return self.schedule if isinstance(self.schedule, Gradual) else None

    def method_of(self, what: str) -> Method:
        """How is chosen what goes."""
        return self.method or METHODS[what][0]

    def scope_of(self, what: str) -> str:
        """Over what is ranked."""
        return self.scope or SCOPES.get(what, "layer")


class Prune(Step):
    """Prune a tuned transformer or a language model, and train it again.

    Heads, units and layers are really cut out: tensors, file and latency shrink. Zeros among
    weights stand in tensors as large as before, which only special kernels make use of; they stay
    zero through the training that follows. What goes is chosen on texts of train alone. Killed
    anywhere, the step goes on to the same bits.
    """

    Config: ClassVar[type[StepConfig]] = PruneConfig
    summary: ClassVar[str] = "take away heads, units, layers or weights, and train what remains"
    example: ClassVar[str] = """\
id: pruned
step: prune
model: tuned
data: news
what: [heads, units]
amount: 0.5
recover: [{train: all, epochs: 1}]
gates: ["accuracy >= tuned - 0.01", "latency_p50_ms <= 0.8 * tuned"]
"""

    @classmethod
    def needs(cls, config: PruneConfig) -> Needs:
        """The model, and its data set or corpus."""
        data = {} if config.data is None else {"data": config.data}
        corpora = {} if config.corpus is None else {"corpus": config.corpus}
        return Needs(models={"model": config.model}, data=data, corpora=corpora)

    @classmethod
    def produces(cls, config: PruneConfig) -> frozenset[str]:
        """Quality, cost, and parity with the parent; of a language model what text tells."""
        if config.corpus is not None:
            return frozenset({*CorpusBenchmark.metrics, *MaskedBenchmark.metrics})
        return frozenset(
            {*benchmarks.quality_metrics(), *CostBenchmark.metrics, *ParityBenchmark.metrics}
        )

    def run(self, config: PruneConfig, context: StepContext) -> StepOutcome:
        """Look at each layer, take away, train, save.

        Raises:
            CheckpointError: the model can't be pruned, or its head belongs to other labels.
            TrainingError: too little would be left, or training fails.
        """
        import torch

        from gradus.checkpoints import save_checkpoint, seen_items
        from gradus.compress.prune import rounds
        from gradus.compress.prune.counts import counted
        from gradus.compress.prune.looked import looked
        from gradus.compress.prune.subject import subject

        torch.set_num_threads(context.threads)
        torch.manual_seed(context.seed % 2**63)
        dtype = context.dtype if config.dtype == "auto" else config.dtype
        began = time.perf_counter()
        found = subject(config, context, dtype)
        before = looked(found, config, context)
        done = rounds.prune(found, config, context, dtype)
        settled = found.settle()
        facts = {
            "parent": config.model,
            "what": list(config.parts),
            "methods": [config.method_of(what) for what in config.parts],
            "amount": config.share,
            "pattern": config.pattern,
            "kept_layers": done.kept,
            **before,
            "after": {**counted(found.task), **rounds.examined(found.task, torch.float32)},
            "rounds": done.rounds,
            "stages": done.stages,
            "dtype": dtype,
            **settled,
        }
        saved = save_checkpoint(
            context.out / "checkpoint",
            kind="transformer",
            labels=found.labels,
            preprocessing={**found.preprocessing, **settled},
            parents=(found.ref,),
            facts={**facts, **seen_items(_items(context))},
            write=found.save,
        )
        facts["reloaded_max_difference"] = _reloaded(found, saved)
        done.cost.setdefault("prune_seconds", time.perf_counter() - began)
        return StepOutcome(
            checkpoint=context.out / "checkpoint",
            notes=(*found.notes, *_notes(config, facts)),
            facts={**facts, "digest": saved.digest},
            cost=done.cost,
        )


def _items(context: StepContext) -> Sequence[str]:
    """Content hashes of what it was trained on, or looked at by."""
    return () if context.data is None else context.data.train.ids


def _reloaded(found: Subject, saved: CheckpointRef) -> float:
    """Greatest difference of a hidden state between what was saved and what loads, relative to
    the greatest hidden state.

    Raises:
        TrainingError: they aren't the same function.
    """
    import torch

    from gradus.training.backbone import Backbone
    from gradus.training.models import load_for_inference

    texts = found.task.select if len(found.task.select) else found.task.train
    batch = texts.batch(range(min(4, len(texts))))
    # Words' shapes are added by the head; here the transformers alone are compared.
    pair = [Backbone(found.task.backbone.model), Backbone(load_for_inference(saved))]
    with torch.inference_mode():
        ours, theirs = (one.run(batch) for one in pair)
    difference = float((ours - theirs).abs().max() / ours.abs().max())
    if not difference <= RELOADED:
        raise TrainingError(
            f"{Path(saved.path)}: what was saved isn't what loads (hidden states differ by "
            f"{difference:.2g}); the architecture can't be kept pruned"
        )
    return difference


def _notes(config: PruneConfig, facts: Mapping[str, Any]) -> tuple[str, ...]:
    before, after = facts["before"], facts["after"]
    if config.what == "weights":
        return (
            f"{after['sparsity']:.1%} of the layers' weights are zero. They stand in tensors as "
            "large as before: neither size nor latency falls without kernels for sparse matrices.",
        )
    share = 1 - after["flops_per_text"] / before["flops_per_text"]
    return (
        f"A text takes {share:.1%} fewer floating-point operations, of which the embeddings have "
        "none, so the file shrinks less than that.",
    )
