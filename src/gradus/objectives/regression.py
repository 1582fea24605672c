"""The task that `Regress` hands to the training loop.

Legend: B texts in a batch, d hidden size, N texts.

The head learns standardised numbers, (number - mean) / deviation with train's own: what they are
measured in then changes nothing about rates, penalties and losses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch.nn.functional import huber_loss, mse_loss

from gradus.data.dataset import TrainingData
from gradus.errors import TrainingError
from gradus.objectives.pooled import FEATURE_NORM, PooledTask
from gradus.training.config import StageConfig
from gradus.training.losses.base import Loss
from gradus.training.packing import Batch


class RegressTask(PooledTask):
    """Texts with a number each (float64 [N]), a pooled backbone and a head with one output."""

    name = "regress"
    chooses_loss: ClassVar[bool] = False
    dtype: ClassVar[torch.dtype] = torch.float64

    @classmethod
    def outputs_of(cls, data: TrainingData) -> int:
        """One."""
        return 1

    def configure(self, config: Any) -> None:
        """Standardise by train, and remember the loss.

        Raises:
            TrainingError: train's numbers are all the same.
        """
        self.huber = config.huber
        self.mean = float(self.labels.mean()) if len(self.labels) else 0.0
        self.deviation = float(self.labels.std(correction=0)) if len(self.labels) else 1.0
        if not self.deviation > 1e-12 * max(1.0, abs(self.mean)):
            raise TrainingError(
                f"regress: every text of train has the number {self.mean:g}, so there is nothing "
                "to tell apart; look at the data's column and its split"
            )

    def continue_from(self, head: Path, before: Mapping[str, Any]) -> None:
        """Take the head over, and with it the mean and the deviation that it was trained with."""
        self.load_head(head)
        self.mean, self.deviation = float(before["mean"]), float(before["deviation"])

    def settings(self) -> dict[str, Any]:
        """``mean`` and ``deviation``, which turn the head's output into a number again."""
        return {"mean": self.mean, "deviation": self.deviation}

    def standardised(self, numbers: torch.Tensor) -> torch.Tensor:
        """float64, in deviations from the mean."""
        found: torch.Tensor = (numbers - self.mean) / self.deviation
        return found

    def loss(self, features: torch.Tensor, batch: Batch, loss: Loss) -> torch.Tensor:
        """Squared error, or Huber's loss, of the standardised numbers, summed over the texts.

        Raises:
            TrainingError: the stage asks for label smoothing.
        """
        if loss.smoothing:
            raise TrainingError("regress: numbers have no label_smoothing: leave it out")
        return self._error(self.head(features).squeeze(-1), self.standardised(self.of(batch)))

    def _error(self, found: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
        if self.huber is None:
            return mse_loss(found, gold.to(found.dtype), reduction="sum")
        return huber_loss(found, gold.to(found.dtype), delta=self.huber, reduction="sum")

    def outputs(self, features: torch.Tensor) -> torch.Tensor:
        """float64 [B], numbers in their own unit."""
        found: torch.Tensor = self.head(features).squeeze(-1).double() * self.deviation
        return found + self.mean

    def evaluate(self, outputs: torch.Tensor) -> dict[str, float]:
        """Mean loss of the standardised numbers, their RMSE, and the monitor's metrics."""
        found, gold = self.standardised(outputs), self.standardised(self.select_labels)
        row = {"select_loss": float(self._error(found, gold)) / max(1, len(gold))}
        for name, value in self.monitor.score(outputs.numpy()).items():
            row[f"select_{name}"] = float(value)
        return {
            **row,
            "select_rmse": math.sqrt(float((outputs - self.select_labels).square().mean())),
        }

    def merit(self, row: Mapping[str, float]) -> tuple[float, ...]:
        """The lower loss."""
        return (-row["select_loss"],)

    def solve(self, features: torch.Tensor, stage: StageConfig, loss: Loss) -> dict[str, float]:
        """Ridge regression on features brought to their usual norm, whatever the loss is."""
        unit = self.head.scale / FEATURE_NORM
        gold = self.standardised(self.labels)
        weight, bias = ridge(features.double() * unit, gold, stage.l2)
        with torch.no_grad():
            self.head.weight.copy_((weight / FEATURE_NORM)[None])
            self.head.bias.copy_(bias)
            error = self._error(self.head(features).squeeze(-1).double(), gold)
        return {"train_loss": float(error) / len(gold), "iterations": 1.0}


def ridge(
    features: torch.Tensor, gold: torch.Tensor, l2: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights [d] and bias of ridge regression (Hoerl & Kennard 1970), in float64.

    Minimises ``sum_i (gold_i - w x_i - b)^2 / 2 + l2 / 2 * |w|^2`` exactly: scikit-learn's `Ridge`
    with ``alpha = l2``. Without a penalty, the least solution of those that fit best.

    Raises:
        TrainingError: features aren't finite.
    """
    if not bool(torch.isfinite(features).all()):
        raise TrainingError("train: head: the model gives features that aren't finite numbers")
    centre, mean = features.mean(0), gold.mean()
    x, y = features - centre, gold - mean
    if l2 > 0:
        gram = x.T @ x
        gram.diagonal().add_(l2)
        weight = torch.cholesky_solve((x.T @ y)[:, None], torch.linalg.cholesky(gram))[:, 0]
    else:
        weight = torch.linalg.lstsq(x, y[:, None], driver="gelsd").solution[:, 0]
    return weight, mean - centre @ weight
