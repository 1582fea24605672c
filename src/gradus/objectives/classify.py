"""Classification: one label a text, from pooled hidden states through a linear head.

Legend: B texts in a batch, T tokens, d hidden size, K labels, N texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from gradus import registry
from gradus.objectives.base import COSTS, Objective, ObjectiveConfig, Prepared
from gradus.records import CheckpointRef

if TYPE_CHECKING:
    from gradus.data.dataset import TrainingData
    from gradus.objectives.classification import ClassifyTask
    from gradus.steps.base import Monitor
    from gradus.training.packing import Tokens

Pooling = Literal["first", "mean", "last"]
HEAD_FILE = "head.safetensors"
_JUDGED_BY = ("labels", "probabilities")


class ClassifyConfig(ObjectiveConfig):
    """How one vector is made of a text.

    Attributes:
        pooling: ``first`` token, ``mean`` of all, ``last`` token; None lets the architecture say.
        normalise: whether that vector is brought to length 1; None as above.
        scale: what the vector is multiplied with before the head; None for 10 over the features'
            usual norm (10 for normalised ones).
    """

    name: Literal["classify", "classify.v1"] = "classify"
    pooling: Pooling | None = None
    normalise: bool | None = None
    scale: Annotated[float, Field(gt=0)] | None = None


@dataclass(frozen=True, slots=True)
class _Reading:
    """How texts become vectors, settled."""

    max_tokens: int
    pooling: str
    normalise: bool


class Classify(Objective):
    """Minimise the cross-entropy of the label (with label smoothing, Szegedy et al. 2016).

    Encoders and causal models alike: the hidden states of a text are pooled into one vector,
    which a linear head turns into K logits. A checkpoint that was classified with the same labels
    keeps its head; with other labels it gets a new one.

    Example::

        objective: {name: classify, pooling: mean, normalise: true}
    """

    Config: ClassVar[type[ObjectiveConfig]] = ClassifyConfig
    summary: ClassVar[str] = "one label a text: pooled hidden states, linear head, cross-entropy"
    example: ClassVar[str] = "{name: classify, pooling: mean, normalise: true}"

    @classmethod
    def metrics(cls) -> frozenset[str]:
        """All metrics that need labels or probabilities, and the costs of predicting."""
        judged = (
            registry.plain(name)
            for name in registry.names("metrics")
            if registry.load("metrics", name).needs in _JUDGED_BY
        )
        return frozenset({*judged, *COSTS})

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
        from gradus.checkpoints import MANIFEST, read_manifest
        from gradus.training import models

        folder = Path(ref.path)
        manifest = read_manifest(folder) if (folder / MANIFEST).is_file() else None
        before = dict(manifest.preprocessing) if manifest else {}
        model, tokenizer = models.load_model(ref), models.load_tokenizer(ref)
        reading = _settle(config, before, model, folder, max_tokens)
        kept = (
            manifest is not None
            and manifest.labels == data.labels
            and (folder / HEAD_FILE).is_file()
            and (reading.pooling, reading.normalise)
            == (before.get("pooling"), before.get("normalise"))
            and config.scale in (None, before.get("scale"))
        )
        splits = {
            name: models.encode(tokenizer, list(split.texts), reading.max_tokens, split.ids)
            for name, split in (("train", data.train), ("select", data.select))
        }
        task = _task(model, data, splits, reading, monitor)
        task.head.scale = float(config.scale or (before["scale"] if kept else task.usual_scale()))
        if kept:
            task.load_head(folder / HEAD_FILE)
        preprocessing = {
            "max_tokens": reading.max_tokens,
            "pooling": reading.pooling,
            "normalise": reading.normalise,
            "scale": task.head.scale,
        }

        def save(target: Path) -> None:
            models.save_model(model, tokenizer, target)
            task.save_head(target / HEAD_FILE)

        return Prepared(
            task=task,
            save=save,
            labels=data.labels,
            preprocessing=preprocessing,
            notes=_notes(bool(manifest and manifest.labels), kept, splits, reading.max_tokens),
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


def _task(
    model: Any,
    data: TrainingData,
    splits: Mapping[str, Tokens],
    reading: _Reading,
    monitor: Monitor,
) -> ClassifyTask:
    """The task with a head that knows nothing yet."""
    import torch

    from gradus.objectives.classification import ClassifyTask
    from gradus.objectives.pooling import LinearHead
    from gradus.training.backbone import Backbone

    backbone = Backbone(model)
    return ClassifyTask(
        backbone=backbone,
        head=LinearHead(backbone.width, len(data.labels), 1.0),
        train=splits["train"],
        select=splits["select"],
        labels=torch.from_numpy(data.train.labels.copy()),
        select_labels=torch.from_numpy(data.select.labels.copy()),
        pooling=reading.pooling,
        normalise=reading.normalise,
        monitor=monitor,
        digest=_digest(data.digest, reading),
    )


def _settle(
    config: Any, before: Mapping[str, Any], model: Any, folder: Path, max_tokens: int | None
) -> _Reading:
    """Config first, then what the checkpoint was trained with, then the architecture."""
    from gradus.training import models

    usual = models.pooling_defaults(model, folder)
    pooling = config.pooling or before.get("pooling") or usual.pooling
    normalise = config.normalise
    if normalise is None:
        normalise = bool(before.get("normalise", usual.normalise))
    wanted = max_tokens or int(before.get("max_tokens", models.DEFAULT_MAX_TOKENS))
    limit = models.max_positions(model)
    return _Reading(min(wanted, limit) if limit else wanted, str(pooling), normalise)


def _digest(data: str, reading: _Reading) -> str:
    from gradus.checkpoints.hashing import hash_json

    return hash_json([data, reading.max_tokens, reading.pooling, reading.normalise])


def _share(tokens: Tokens) -> float:
    return tokens.truncated / len(tokens) if len(tokens) else 0.0


def _notes(
    labelled: bool, kept: bool, splits: Mapping[str, Tokens], max_tokens: int
) -> tuple[str, ...]:
    notes = []
    if labelled:
        notes.append(
            "Labels and reading are those of the checkpoint before, so its head was kept."
            if kept
            else "Labels or reading differ from the checkpoint before: a new head was made."
        )
    share = _share(splits["train"])
    if share > 0:
        notes.append(f"{share:.1%} of the train texts were cut at {max_tokens} tokens.")
    return tuple(notes)
