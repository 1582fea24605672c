"""The task that `Classify` hands to the training loop where a text has any number of labels.

Legend: B texts in a batch, d hidden size, K labels, N texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from gradus.objectives.pooled import FEATURE_NORM, PooledTask
from gradus.objectives.thresholds import choose
from gradus.training.config import StageConfig
from gradus.training.losses.base import Loss
from gradus.training.packing import Batch
from gradus.training.solver import solve_head


class MultilabelTask(PooledTask):
    """K decisions a text (bool [N, K]), each a logistic regression on the pooled vector."""

    name = "classify"
    chooses_loss: ClassVar[bool] = False
    dtype: ClassVar[torch.dtype] = torch.float32

    def configure(self, config: Any) -> None:
        """Remember how the threshold is chosen."""
        self.threshold = config.threshold

    def loss(self, features: torch.Tensor, batch: Batch, loss: Loss) -> torch.Tensor:
        """Binary cross-entropy in nats, summed over texts and labels.

        Smoothing moves a target towards one half by that share of its distance from it.
        """
        gold = self.of(batch) * (1 - loss.smoothing) + loss.smoothing / 2
        return binary_cross_entropy_with_logits(self.head(features), gold, reduction="sum")

    def outputs(self, features: torch.Tensor) -> torch.Tensor:
        """Logarithms of the labels' probabilities [B, K], float64."""
        return logsigmoid(self.head(features).double())

    def evaluate(self, outputs: torch.Tensor) -> dict[str, float]:
        """Mean binary cross-entropy in nats, micro F1 at one half, and the monitor's metrics."""
        gold = self.select_labels.double()
        log_no = torch.log(-torch.expm1(outputs.clamp(max=-1e-300)))
        row = {"select_loss": float(-(gold * outputs + (1 - gold) * log_no).mean())}
        for name, value in self.monitor.score(outputs.numpy()).items():
            row[f"select_{name}"] = float(value)
        said = outputs >= np.log(0.5)
        hits = 2 * float((said & gold.bool()).sum())
        return {**row, "select_f1": hits / max(1.0, float(said.sum() + gold.sum()))}

    def merit(self, row: Mapping[str, float]) -> tuple[float, ...]:
        """A greater micro F1; among equals the lower loss."""
        return (row["select_f1"], -row["select_loss"])

    def solve(self, features: torch.Tensor, stage: StageConfig, loss: Loss) -> dict[str, float]:
        """K independent logistic regressions on features brought to their usual norm."""
        unit = self.head.scale / FEATURE_NORM
        found = solve_head(features * unit, self.labels, len(self.head.bias), l2=stage.l2)
        with torch.no_grad():
            self.head.weight.copy_(found.weight / FEATURE_NORM)
            self.head.bias.copy_(found.bias)
            mean = float(binary_cross_entropy_with_logits(self.head(features), self.labels))
        return {"train_loss": mean, "iterations": float(found.iterations)}

    def settle(self) -> dict[str, Any]:
        """``thresholds``: K probabilities from which on a label is said."""
        gold = self.select_labels.bool().numpy()
        tuned = not isinstance(self.threshold, float) and len(gold)
        probabilities = self.select_outputs().exp().numpy() if tuned else np.zeros(gold.shape)
        return {"thresholds": choose(self.threshold, probabilities, gold)}
