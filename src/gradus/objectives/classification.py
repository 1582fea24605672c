"""The task that `Classify` hands to the training loop.

Legend: B texts in a batch, T tokens, d hidden size, K labels, N texts.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn.functional import cross_entropy, log_softmax, nll_loss

from gradus.objectives.pooled import FEATURE_NORM, PooledTask
from gradus.training.config import StageConfig
from gradus.training.losses.base import Classes, Loss
from gradus.training.packing import Batch
from gradus.training.solver import solve_head


class ClassifyTask(PooledTask):
    """Texts with one label each (int64 [N]), a pooled backbone and a linear head."""

    name = "classify"

    @property
    def classes(self) -> Classes:
        """The K labels and how many texts of train have each; numbers where they have no names."""
        counts = torch.bincount(self.labels, minlength=len(self.head.bias)).tolist()
        return Classes(self.names or tuple(map(str, range(len(counts)))), tuple(counts))

    def loss(self, features: torch.Tensor, batch: Batch, loss: Loss) -> torch.Tensor:
        """The stage's loss, summed over the texts, in nats."""
        return loss(self.head(features), self.of(batch), features)

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

    def solve(self, features: torch.Tensor, stage: StageConfig, loss: Loss) -> dict[str, float]:
        """Multinomial logistic regression on features brought to their usual norm."""
        unit = self.head.scale / FEATURE_NORM
        found = solve_head(
            features * unit,
            self.labels,
            len(self.head.bias),
            l2=stage.l2,
            smoothing=0.0,
            weights=loss.weights,
        )
        with torch.no_grad():
            self.head.weight.copy_(found.weight / FEATURE_NORM)
            self.head.bias.copy_(found.bias)
            logits = self.head(features)
            summed = cross_entropy(logits, self.labels, weight=loss.weights, reduction="sum")
        return {
            "train_loss": float(summed) / len(self.labels),
            "iterations": float(found.iterations),
        }
