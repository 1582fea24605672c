"""What an objective hands to the training loop.

Legend: B texts in a batch, T tokens in it, d hidden size, F rows of features of a batch (B for
one vector a text, fewer or more where an objective looks at tokens).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from gradus.training.backbone import Backbone
from gradus.training.config import StageConfig
from gradus.training.losses.base import Classes, Loss
from gradus.training.packing import Batch, Layout, Tokens


class Task(ABC):
    """A model, its data and what it is to minimise.

    The way through it: token ids -> `backbone` -> hidden state [T, d] -> `features` [F, d] ->
    `loss` or `outputs`. `features` holds no parameters, so that a stage that trains the head
    alone needs nothing but them; they are computed once.

    Attributes:
        backbone: the transformer.
        head: what is trained on top of it.
        train: tokenised train split.
        select: tokenised dev.select.
        digest: of data and tokenisation; part of the identity of everything that is cached.
        name: of the objective, for messages.

    Class attributes:
        chooses_loss: whether `loss` minimises what a stage chooses from the catalog. A task that
            has a loss of its own takes no more than the label smoothing from it.
    """

    chooses_loss: ClassVar[bool] = True

    name: str
    backbone: Backbone
    head: nn.Module
    train: Tokens
    select: Tokens
    digest: str

    @property
    def feature_width(self) -> int:
        """Width of a row of features: d."""
        return self.backbone.width

    @abstractmethod
    def feature_lengths(self, tokens: Tokens) -> np.ndarray:
        """int64 [N], rows of features of each text."""

    @abstractmethod
    def features(self, hidden: torch.Tensor, layout: Layout) -> torch.Tensor:
        """float32 [F, d] from hidden state [T, d]."""

    @property
    def classes(self) -> Classes | None:
        """The labels that logits stand for, with their counts in train; None where logits stand
        for none, so that nothing can be weighed by label."""
        return None

    @abstractmethod
    def loss(self, features: torch.Tensor, batch: Batch, loss: Loss) -> torch.Tensor:
        """The summed loss of a train batch, to be divided by `weight`.

        `loss` is the stage's choice from the catalog, for whoever has logits and labels:
        ``loss(logits, gold, features)``.
        """

    @abstractmethod
    def weight(self, batch: Batch) -> int:
        """How many terms `loss` sums."""

    @abstractmethod
    def outputs(self, features: torch.Tensor) -> torch.Tensor:
        """What `evaluate` needs of every row of features, e.g. log-probabilities [F, K]."""

    @abstractmethod
    def evaluate(self, outputs: torch.Tensor) -> dict[str, float]:
        """Curve values on dev.select from the outputs of all its texts, in their order."""

    @abstractmethod
    def merit(self, row: Mapping[str, float]) -> tuple[float, ...]:
        """What makes one evaluation better than another; tuples compare, greater is better."""

    def solve(self, features: torch.Tensor, stage: StageConfig, loss: Loss) -> dict[str, float]:
        """Set the head to the solution on all train features; returns facts.

        `loss` is one whose config says that it is ``solvable``; its label weights hold.

        Raises:
            TrainingError: this objective's head has no such solution.
        """
        from gradus.errors import TrainingError

        raise TrainingError(f"objective {self.name} can't solve its head: leave solver out")

    def parameters(self) -> dict[str, nn.Parameter]:
        """Every parameter by name; the head's begin with ``head.``."""
        named = dict(self.backbone.model.named_parameters())
        named.update({f"head.{name}": p for name, p in self.head.named_parameters()})
        return named
