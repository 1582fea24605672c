"""What the tasks share that make one vector of a text and put a linear head on it.

Legend: B texts in a batch, T tokens, d hidden size, K outputs of the head, N texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from gradus.data.dataset import TrainingData
from gradus.errors import CheckpointError
from gradus.objectives.pooling import LinearHead, pool
from gradus.steps.base import Monitor
from gradus.training.activations import INFERENCE_TOKENS
from gradus.training.backbone import Backbone
from gradus.training.packing import Batch, Layout, Tokens, inference_batches
from gradus.training.task import Task, Texts

FEATURE_NORM = 10.0
_NORM_SAMPLE = 256


class PooledTask(Task):
    """A pooled backbone and a linear head; subclasses say what is minimised.

    Attributes:
        names: the outputs' labels, where they have any.
    """

    head: LinearHead
    names: tuple[str, ...] = ()
    dtype: ClassVar[torch.dtype] = torch.int64

    def __init__(
        self,
        *,
        backbone: Backbone,
        head: LinearHead,
        train: Tokens,
        select: Tokens,
        labels: torch.Tensor,
        select_labels: torch.Tensor,
        pooling: str,
        normalise: bool,
        monitor: Monitor,
        digest: str,
    ) -> None:
        """`labels` [N, ...] of train and `select_labels` of dev.select; see `Task` for the rest."""
        self.backbone, self.head, self.train, self.select = backbone, head, train, select
        self.labels, self.select_labels = labels, select_labels
        self.pooling, self.normalise = pooling, normalise
        self.monitor, self.digest = monitor, digest
        self.reading = f"{pooling} {normalise}"

    @classmethod
    def gold(cls, labels: np.ndarray) -> torch.Tensor:
        """A split's labels as the loss wants them."""
        return torch.from_numpy(labels.copy()).to(cls.dtype)

    @classmethod
    def outputs_of(cls, data: TrainingData) -> int:
        """K."""
        return len(data.labels)

    def feature_lengths(self, tokens: Texts) -> np.ndarray:
        """One vector a text."""
        return np.ones(len(tokens), dtype=np.int64)

    def features(self, hidden: torch.Tensor, layout: Layout) -> torch.Tensor:
        """Pooled hidden states, float32 [B, d]."""
        return pool(hidden, layout, self.pooling, normalise=self.normalise)

    def weight(self, batch: Batch) -> int:
        """B."""
        return len(batch.rows)

    def of(self, batch: Batch) -> torch.Tensor:
        """The labels of a train batch."""
        return self.labels[torch.from_numpy(batch.rows)]

    @torch.inference_mode()
    def usual_scale(self) -> float:
        """The scale that brings features to a root-mean-square norm of 10."""
        if self.normalise:
            return FEATURE_NORM
        rows = inference_batches(self.train.lengths[:_NORM_SAMPLE], max_tokens=2048)
        total = 0.0
        for part in rows:
            batch = self.train.batch(part)
            features = self.features(self.backbone.run(batch), batch.layout)
            total += float(features.double().square().sum())
        return FEATURE_NORM / float(np.sqrt(total / min(_NORM_SAMPLE, len(self.train))))

    @torch.inference_mode()
    def select_outputs(self) -> torch.Tensor:
        """`outputs` of all of dev.select in the order of its texts, computed in float32."""
        self.backbone.model.eval()
        parts, order = [], []
        for rows in inference_batches(self.select.lengths, INFERENCE_TOKENS):
            batch = self.select.batch(rows)
            parts.append(self.outputs(self.features(self.backbone.run(batch), batch.layout)))
            order.append(batch.rows)
        places = torch.from_numpy(np.argsort(np.concatenate(order)))
        return torch.cat(parts)[places]

    def configure(self, config: Any) -> None:
        """Take what it needs from the objective's config. Nothing, unless a subclass says so."""

    def continue_from(self, head: Path, before: Mapping[str, Any]) -> None:
        """Take over the head file of a checkpoint that has `before` as its preprocessing."""
        self.load_head(head)

    def settings(self) -> dict[str, Any]:
        """Preprocessing of its own that is known before training."""
        return {}

    def settle(self) -> dict[str, Any]:
        """Preprocessing that only the trained task can tell; asked once, after training."""
        return {}

    def save_head(self, path: Path) -> None:
        """Write ``weight`` [K, d] and ``bias`` [K]."""
        save_file({n: p.detach().contiguous() for n, p in self.head.named_parameters()}, path)

    def load_head(self, path: Path) -> None:
        """Read what `save_head` wrote."""
        load_head(self.head, path)


def load_head(head: LinearHead, path: Path) -> None:
    """Copy the weights in a head file into `head`.

    Raises:
        CheckpointError: the file doesn't fit.
    """
    try:
        saved = load_file(path)
        with torch.no_grad():
            for name, parameter in head.named_parameters():
                parameter.copy_(saved[name])
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path}: not this model's head ({error})") from error
