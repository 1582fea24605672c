"""The task that `Classify` hands to the training loop.

Legend: B texts in a batch, T tokens, d hidden size, K labels, N texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy, log_softmax, nll_loss

from gradus.errors import CheckpointError
from gradus.objectives.pooling import LinearHead, pool
from gradus.steps.base import Monitor
from gradus.training.backbone import Backbone
from gradus.training.config import StageConfig
from gradus.training.packing import Batch, Layout, Tokens, inference_batches
from gradus.training.solver import solve_head
from gradus.training.task import Task

FEATURE_NORM = 10.0
_NORM_SAMPLE = 256


class ClassifyTask(Task):
    """Texts, labels, a pooled backbone and a linear head."""

    name = "classify"
    head: LinearHead

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
        """`labels` int64 [N] of train, `select_labels` of dev.select; see `Task` for the rest."""
        self.backbone, self.head, self.train, self.select = backbone, head, train, select
        self.labels, self.select_labels = labels, select_labels
        self.pooling, self.normalise = pooling, normalise
        self.monitor, self.digest = monitor, digest

    def feature_lengths(self, tokens: Tokens) -> np.ndarray:
        """One vector a text."""
        return np.ones(len(tokens), dtype=np.int64)

    def features(self, hidden: torch.Tensor, layout: Layout) -> torch.Tensor:
        """Pooled hidden states, float32 [B, d]."""
        return pool(hidden, layout, self.pooling, normalise=self.normalise)

    def loss(self, features: torch.Tensor, batch: Batch, smoothing: float) -> torch.Tensor:
        """Summed cross-entropy in nats."""
        gold = self.labels[torch.from_numpy(batch.rows)]
        return cross_entropy(self.head(features), gold, label_smoothing=smoothing, reduction="sum")

    def weight(self, batch: Batch) -> int:
        """B."""
        return len(batch.rows)

    def outputs(self, features: torch.Tensor) -> torch.Tensor:
        """Log-probabilities [B, K], float64."""
        return log_softmax(self.head(features).double(), dim=-1)

    def evaluate(self, outputs: torch.Tensor) -> dict[str, float]:
        """Mean cross-entropy in nats, and the monitor's metrics, all as ``select_NAME``."""
        row = {"select_loss": float(nll_loss(outputs, self.select_labels))}
        for name, value in self.monitor.score(outputs.numpy()).items():
            row[f"select_{name}"] = float(value)
        right = (outputs.argmax(-1) == self.select_labels).double().mean()
        return {**row, "select_accuracy": float(right)}

    def merit(self, row: Mapping[str, float]) -> tuple[float, ...]:
        """More accurate; among equals the lower loss."""
        return (row["select_accuracy"], -row["select_loss"])

    def solve(self, features: torch.Tensor, stage: StageConfig) -> dict[str, float]:
        """Multinomial logistic regression on features brought to their usual norm."""
        unit = self.head.scale / FEATURE_NORM
        found = solve_head(
            features * unit,
            self.labels,
            len(self.head.bias),
            l2=stage.l2,
            smoothing=0.0,
        )
        with torch.no_grad():
            self.head.weight.copy_(found.weight / FEATURE_NORM)
            self.head.bias.copy_(found.bias)
            logits = self.head(features)
            loss = float(cross_entropy(logits, self.labels))
        return {"train_loss": loss, "iterations": float(found.iterations)}

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
