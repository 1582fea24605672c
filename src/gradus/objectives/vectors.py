"""What the objectives share that read a text as one vector: pooled hidden states under a head.

Legend: N texts, d hidden size, K outputs of the head.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from gradus.errors import DataError
from gradus.objectives.base import Objective, ObjectiveConfig, Prepared
from gradus.records import CheckpointRef, Pair, Target

if TYPE_CHECKING:
    from gradus.checkpoints import Manifest
    from gradus.data.dataset import TrainingData
    from gradus.objectives.pooled import PooledTask
    from gradus.steps.base import Monitor
    from gradus.training.packing import Tokens

Pooling = Literal["first", "mean", "last"]
HEAD_FILE = "head.safetensors"


class VectorConfig(ObjectiveConfig):
    """How one vector is made of a text.

    Attributes:
        pooling: ``first`` token, ``mean`` of all, ``last`` token; None lets the architecture say.
        normalise: whether that vector is brought to length 1; None as above.
        scale: what the vector is multiplied with before the head; None for 10 over the features'
            usual norm (10 for normalised ones).
    """

    pooling: Pooling | None = None
    normalise: bool | None = None
    scale: Annotated[float, Field(gt=0)] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How texts become vectors, settled."""

    max_tokens: int
    pooling: str
    normalise: bool


class VectorObjective(Objective):
    """Base of `Classify` and `Regress`: encoders and causal models alike.

    Class attributes:
        targets: the data that it can be trained on.
    """

    targets: ClassVar[tuple[Target, ...]]

    @abstractmethod
    def task(self, config: Any, target: Target) -> type[PooledTask]:
        """The class of the task for data with this target."""

    def prepare(
        self,
        config: Any,
        *,
        ref: CheckpointRef,
        data: TrainingData,
        monitor: Monitor,
        max_tokens: int | None,
        seed: int,
    ) -> Prepared:
        """Load weights, tokenise train and dev.select, build the head or take the old one."""
        from gradus.checkpoints import find_manifest
        from gradus.training import models

        _require(data, self.targets, str(config.name))
        folder = Path(ref.path)
        manifest = find_manifest(folder)
        before = dict(manifest.preprocessing) if manifest else {}
        model, tokenizer = models.load_model(ref), models.load_tokenizer(ref)
        reading = _settle(config, before, model, folder, max_tokens)
        splits = {
            name: models.encode(tokenizer, list(split.texts), reading.max_tokens, split.ids)
            for name, split in (("train", data.train), ("select", data.select))
        }
        task = _task(self.task(config, data.target), config, model, data, splits, reading, monitor)
        headed = manifest is not None and (folder / HEAD_FILE).is_file()
        kept = headed and _same_head(manifest, before, data, reading, config)
        task.head.scale = float(config.scale or (before["scale"] if kept else task.usual_scale()))
        if kept:
            task.continue_from(folder / HEAD_FILE, before)
        preprocessing = {
            "max_tokens": reading.max_tokens,
            "pooling": reading.pooling,
            "normalise": reading.normalise,
            "scale": task.head.scale,
            **({} if data.target == "label" else {"target": data.target}),
            **({"pairs": True} if any(isinstance(t, Pair) for t in data.train.texts) else {}),
            **task.settings(),
        }

        def save(target: Path) -> None:
            models.save_model(model, tokenizer, target)
            task.save_head(target / HEAD_FILE)

        return Prepared(
            task=task,
            save=save,
            settle=task.settle,
            labels=data.labels,
            preprocessing=preprocessing,
            notes=_notes(headed, kept, splits, reading.max_tokens),
            facts={
                **preprocessing,
                "layers": task.backbone.layers,
                "packed": task.backbone.packs,
                "truncated_share": _share(splits["train"]),
                "train_texts": len(splits["train"]),
                "train_tokens_per_epoch": splits["train"].total,
                "head_kept": kept,
            },
        )


def _require(data: TrainingData, targets: tuple[Target, ...], who: str) -> None:
    if data.target in targets:
        return
    wanted = " or ".join(f"'target: {target}'" for target in targets)
    raise DataError(
        f"{data.name}: objective {who} needs data with {wanted}, this has 'target: {data.target}'"
    )


def _same_head(
    manifest: Manifest | None,
    before: Mapping[str, Any],
    data: TrainingData,
    reading: Reading,
    config: Any,
) -> bool:
    """Whether the checkpoint's head answers the same question about the same vectors."""
    return (
        manifest is not None
        and manifest.labels == data.labels
        and before.get("target", "label") == data.target
        and (reading.pooling, reading.normalise) == (before.get("pooling"), before.get("normalise"))
        and config.scale in (None, before.get("scale"))
    )


def _task(
    kind: type[PooledTask],
    config: Any,
    model: Any,
    data: TrainingData,
    splits: Mapping[str, Tokens],
    reading: Reading,
    monitor: Monitor,
) -> PooledTask:
    """The task with a head that knows nothing yet."""
    from gradus.objectives.pooling import LinearHead
    from gradus.training.backbone import Backbone

    backbone = Backbone(model)
    task = kind(
        backbone=backbone,
        head=LinearHead(backbone.width, kind.outputs_of(data), 1.0),
        train=splits["train"],
        select=splits["select"],
        labels=kind.gold(data.train.labels),
        select_labels=kind.gold(data.select.labels),
        pooling=reading.pooling,
        normalise=reading.normalise,
        monitor=monitor,
        digest=_digest(data.digest, reading),
    )
    task.names = data.labels
    task.configure(config)
    return task


def _settle(
    config: Any, before: Mapping[str, Any], model: Any, folder: Path, max_tokens: int | None
) -> Reading:
    """Config first, then what the checkpoint was trained with, then the architecture."""
    from gradus.training import models

    usual = models.pooling_defaults(model, folder)
    pooling = config.pooling or before.get("pooling") or usual.pooling
    normalise = config.normalise
    if normalise is None:
        normalise = bool(before.get("normalise", usual.normalise))
    wanted = max_tokens or int(before.get("max_tokens", models.DEFAULT_MAX_TOKENS))
    limit = models.max_positions(model)
    return Reading(min(wanted, limit) if limit else wanted, str(pooling), normalise)


def _digest(data: str, reading: Reading) -> str:
    from gradus.checkpoints.hashing import hash_json

    return hash_json([data, reading.max_tokens, reading.pooling, reading.normalise])


def _share(tokens: Tokens) -> float:
    return tokens.truncated / len(tokens) if len(tokens) else 0.0


def _notes(
    headed: bool, kept: bool, splits: Mapping[str, Tokens], max_tokens: int
) -> tuple[str, ...]:
    notes = []
    if headed:
        notes.append(
            "Labels and reading are those of the checkpoint before, so its head was kept."
            if kept
            else "Labels or reading differ from the checkpoint before: a new head was made."
        )
    share = _share(splits["train"])
    if share > 0:
        notes.append(f"{share:.1%} of the train texts were cut at {max_tokens} tokens.")
    return tuple(notes)
