"""What every stage works with, and the stage whose head is solved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gradus.steps.base import Monitor
from gradus.training.activations import Activations, autocast
from gradus.training.config import StageConfig
from gradus.training.exchange import Exchange
from gradus.training.losses.base import Loss
from gradus.training.packing import Batch
from gradus.training.state import Progress
from gradus.training.task import Examined, Task, Texts

# What is looked at beside dev.select at each validation: rows for the curves.
Probe = Callable[[], Sequence[Mapping[str, float | int | str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What every kind of stage works with.

    `torch_seed` is what torch's generator began the stage with, `clock` gives the seconds that the
    stage has taken, those before a resume included. `probes` are called at each validation of a
    long stage, and `ceiling` are the operations a second that its matrix products could have.
    """

    task: Task
    stage: StageConfig
    loss: Loss
    index: int
    stages: int
    seed: int
    low: int
    dtype: torch.dtype
    caches: Activations
    monitor: Monitor
    progress: Progress
    work: Path
    exchange: Exchange
    torch_seed: int
    clock: Callable[[], float]
    probes: Sequence[Probe] = ()
    ceiling: float | None = None

    def features(self, tokens: Texts, batch: Batch) -> torch.Tensor:
        """Features [F, d] of a batch, from the cache as far as it reaches."""
        known = self.caches.get(tokens, batch)
        if known is not None and self.caches.features_only:
            return known
        with autocast(self.dtype):
            hidden = self.task.backbone.run(batch, known, max(self.low, 0))
            return self.task.features(hidden, batch.layout)

    def examine(self) -> Examined:
        """The task's evaluation on dev.select; nothing without such a split."""
        task = self.task
        if not len(task.select):
            return Examined({})
        task.backbone.model.eval()
        task.head.eval()
        with self.exchange.examining():
            return task.examine(self.features, self.dtype)

    def evaluate(self) -> dict[str, float]:
        """Values on dev.select; empty without such a split."""
        return dict(self.examine().values)

    def point(self, epoch: float, rate: float, **values: float | int | str) -> None:
        """One row of the curves."""
        self.progress.rows += 1
        self.monitor.point(
            stage=self.index,
            train=self.stage.label,
            epoch=epoch,
            step=self.progress.update,
            lr=rate,
            **values,
        )

    def solve(self) -> dict[str, Any]:
        """Solve the head on all train features."""
        features = self.caches.store(self.task.train).all()
        facts = self.task.solve(features, self.stage, self.loss)
        self.progress.evaluation = self.evaluate()
        self.point(1.0, 0.0, train_loss=facts["train_loss"], **self.progress.evaluation)
        return {**facts, **self.progress.evaluation}

    def frozen_flops(self) -> float:
        """Floating-point operations that filling this stage's caches takes, each counted once."""
        tokens = self.caches.new_tokens(self.progress.caches)
        groups, model = self.task.backbone.groups, self.task.backbone.model
        below = [p for n, p in model.named_parameters() if groups.group_of[n] != "embeddings"]
        per_layer = sum(p.numel() for p in below) / max(1, self.task.backbone.layers)
        return 2.0 * per_layer * max(0, self.low) * tokens
