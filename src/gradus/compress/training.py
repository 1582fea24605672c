"""Training a fine-tuned checkpoint on under the rounding that it is about to get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gradus import registry
from gradus.checkpoints import read_manifest, save_checkpoint, seen_items
from gradus.checkpoints.hashing import hash_json
from gradus.compress.onnx_scheme import integer_range
from gradus.compress.rounded import rounding
from gradus.data.dataset import TrainingData
from gradus.data.prepare import Prepare
from gradus.errors import CheckpointError, DataError
from gradus.objectives.base import Prepared
from gradus.predict.outputs import target_of
from gradus.predict.postprocess import refuse
from gradus.records import CheckpointRef
from gradus.steps.base import StepContext
from gradus.training.config import StageConfig
from gradus.training.loop import train

# A trained model needs little to find its way: one epoch at a tenth of fine-tuning's usual rate.
DEFAULT_STAGES = (StageConfig(train="all", epochs=1, lr=2e-5, label_smoothing=0.0),)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRounded:
    """The checkpoint with the weights that came of it, in float32, with what is said of it."""

    ref: CheckpointRef
    facts: Mapping[str, Any]


def train_rounded(
    ref: CheckpointRef, stages: Sequence[StageConfig] | None, context: StepContext
) -> TrainedRounded:
    """Train through the same loop as any step, products and embeddings rounded to int8.

    Killed anywhere, it goes on to the same bits.

    Raises:
        CheckpointError: the checkpoint is no fine-tuned transformer.
        DataError: there are no data.
        TrainingError: training can't go on.
    """
    data = context.data
    if data is None:
        raise DataError("training under rounding needs train: name the data set in data")
    refuse(ref, "training under rounding")
    manifest = read_manifest(Path(ref.path))
    prepare = Prepare.of(manifest.preprocessing)
    prepared = _prepared(ref, manifest.preprocessing, prepare.data(data), context)
    chosen = tuple(stages) if stages else DEFAULT_STAGES
    most, _, _ = integer_range()
    with rounding(prepared.task.backbone.model, most) as layers:
        trained = train(
            prepared.task,
            chosen,
            seed=context.seed,
            work=context.work,
            monitor=context.monitor,
            dtype=context.dtype,
            identity={
                "data": data.digest,
                "model": ref.digest,
                "preprocessing": hash_json(dict(manifest.preprocessing)),
                "rounding": f"int8 {most}",
            },
        )
    settled = prepared.settle()
    saved = save_checkpoint(
        context.work / "trained",
        kind=prepared.kind,
        labels=prepared.labels,
        preprocessing={**prepared.preprocessing, **settled, **prepare.preprocessing()},
        parents=(ref,),
        facts=seen_items(data.train.ids),
        write=prepared.save,
        name=ref.name,
    )
    facts = {
        "rounded_layers": layers,
        "stages": [dict(stage) for stage in trained.stages],
        "train_seconds": trained.cost["train_seconds"],
        "dtype": context.dtype,
    }
    return TrainedRounded(ref=saved, facts=facts)


def _prepared(
    ref: CheckpointRef,
    preprocessing: Mapping[str, Any],
    data: TrainingData,
    context: StepContext,
) -> Prepared:
    """The checkpoint as a task that goes on from its head."""
    objective, options = _objective(preprocessing)
    torch.manual_seed(context.seed % 2**63)
    prepared: Prepared = objective().prepare(
        options,
        ref=ref,
        data=data,
        monitor=context.monitor,
        max_tokens=int(preprocessing["max_tokens"]),
        seed=context.seed,
    )
    if not prepared.facts["head_kept"]:
        raise CheckpointError(
            f"'{ref.name}' was fine-tuned with other labels than {data.name} has: "
            "name the data set that it was fine-tuned on"
        )
    return prepared


def _objective(preprocessing: Mapping[str, Any]) -> tuple[Any, Any]:
    """The objective that a checkpoint came of, and its config with the same options."""
    name = {"number": "regress", "spans": "tag"}.get(target_of(preprocessing), "classify")
    objective = registry.load("objectives", name)
    fields = objective.Config.model_fields
    options = {key: preprocessing[key] for key in fields if key in preprocessing}
    return objective, objective.Config.model_validate({**options, "name": name})
