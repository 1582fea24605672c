"""What is pruned: a fine-tuned checkpoint with its data, or a language model with a corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradus.checkpoints import find_manifest
from gradus.checkpoints.hashing import hash_json
from gradus.errors import CheckpointError, GradusError, TrainingError
from gradus.objectives.thresholds import NEUTRAL
from gradus.records import CheckpointRef
from gradus.steps.base import StepContext
from gradus.training.adapters import attach
from gradus.training.adapters.attached import of
from gradus.training.task import Task

if TYPE_CHECKING:
    from gradus.steps.prune import PruneConfig

# Target of a checkpoint -> objective, and which of the manifest's settings are options of it.
_OBJECTIVES: Final = {
    "label": ("classify", ("pooling", "normalise", "scale")),
    "labels": ("classify", ("pooling", "normalise", "scale")),
    "number": ("regress", ("pooling", "normalise", "scale")),
    "spans": ("tag", ("word", "tags", "shapes", "overlap")),
    "reply": ("instruct", ()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A task that can be evaluated and trained, and the way to a checkpoint.

    Attributes:
        task: the model with its head, train and dev.select.
        save: writes all files of a checkpoint but the manifest into a folder.
        ref: what it was.
        labels: in the order of the outputs.
        preprocessing: the manifest's, but for what `settle` gives.
        identity: digests that a state must agree with to be gone on from.
        causal: whether tokens see only what stands before them.
        notes: sentences for the report.
        settle: preprocessing that only the trained task can tell.
    """

    task: Task
    save: Callable[[Path], None]
    ref: CheckpointRef
    labels: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    identity: Mapping[str, str]
    causal: bool
    notes: tuple[str, ...] = ()
    settle: Callable[[], Mapping[str, Any]] = field(default=dict)


def subject(config: PruneConfig, context: StepContext, dtype: str) -> Subject:
    """Load the model and its data.

    Raises:
        CheckpointError: it is no transformer in torch, or its head knows other labels.
        GradusError: neither data nor a corpus is named.
    """
    ref = context.models[config.model]
    if ref.kind not in ("transformer", "gguf"):
        raise CheckpointError(
            f"'{ref.name}' is a checkpoint of kind '{ref.kind}', and only a transformer's weights "
            "can be pruned: name the step that it was made from"
        )
    if config.corpus is not None:
        return _language(config, context, ref, dtype)
    if context.data is None:
        raise GradusError(
            f"step {context.id}: prune needs the data that the model was tuned on, or for a "
            "language model a corpus: name one"
        )
    return _tuned(config, context, ref)


def _tuned(config: PruneConfig, context: StepContext, ref: CheckpointRef) -> Subject:
    from gradus import registry
    from gradus.data.prepare import Prepare
    from gradus.predict.postprocess import refuse

    refuse(ref, "pruning")
    manifest, data = find_manifest(Path(ref.path)), context.data
    assert data is not None
    before = manifest.preprocessing if manifest else {}
    target = str(before.get("target", "label"))
    if manifest is None or target not in _OBJECTIVES:
        raise CheckpointError(
            f"'{ref.name}' hasn't been tuned on labelled data: name a finetune step, or for a "
            "language model a corpus instead of data"
        )
    name, kept = _OBJECTIVES[target]
    objective = registry.load("objectives", name)
    options = {key: before[key] for key in kept if before.get(key) is not None}
    options |= _threshold(before.get("thresholds", ()))
    prepare = Prepare.of(before)
    prepared = objective().prepare(
        objective.Config.model_validate({"name": name, **options}),
        ref=ref,
        data=prepare.data(data),
        monitor=context.monitor,
        max_tokens=None,
        seed=context.seed,
    )
    if not prepared.facts.get("head_kept", True):
        raise CheckpointError(
            f"'{ref.name}' was tuned on other labels than those of {data.name}, so its head says "
            f"nothing about them: name the data that it was tuned on"
        )
    _merge_adapter(prepared.task, ref)
    return Subject(
        task=prepared.task,
        save=prepared.save,
        ref=ref,
        labels=prepared.labels,
        preprocessing={**prepared.preprocessing, **prepare.preprocessing()},
        identity={
            "data": data.digest,
            "model": ref.digest,
            "config": hash_json(config.model_dump(mode="json")),
        },
        causal=_causal(prepared.task),
        settle=prepared.settle,
    )


def _threshold(found: Sequence[float]) -> dict[str, str]:
    """How thresholds are chosen anew after pruning: as many as before, or none where none were."""
    if not found or set(found) == {NEUTRAL}:
        return {}
    return {"threshold": "global" if len(set(found)) == 1 else "per-label"}


def _language(config: PruneConfig, context: StepContext, ref: CheckpointRef, dtype: str) -> Subject:
    """A language model, whose loss is that of its pretraining."""
    from gradus.scoring.load import is_masked
    from gradus.steps.pretrain import PretrainConfig
    from gradus.training.language_setup import prepare

    asked = PretrainConfig(
        corpus=config.corpus,
        model=config.model,
        objective="masked-lm" if is_masked(ref) else "causal-lm",
        block=config.block,
        epochs=1,
    )
    ready = prepare(asked, context, dtype)
    return Subject(
        task=ready.task,
        save=ready.save,
        ref=ref,
        labels=(),
        preprocessing=ready.preprocessing,
        identity={**ready.identity, "prune": hash_json(config.model_dump(mode="json"))},
        causal=ready.task.causal,
    )


def _merge_adapter(task: Task, ref: CheckpointRef) -> None:
    """An adapter is taken up into the weights that are pruned."""
    attached = of(task.backbone.model)
    if attached is None:
        return
    if not attached.merges:
        raise TrainingError(
            f"'{ref.name}' puts virtual tokens before every text, which pruning doesn't take: "
            "name a checkpoint without an adapter"
        )
    attach.merge(task.backbone.model)
    task.backbone.look_again()


def _causal(task: Task) -> bool:
    from gradus.training.models import is_causal

    return is_causal(task.backbone.model)
