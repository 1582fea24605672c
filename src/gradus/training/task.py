"""What an objective hands to the training loop.

Legend: B texts in a batch, T tokens in it, d hidden size, F rows of features of a batch (B for
one vector a text, fewer or more where an objective looks at tokens).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import nn

from gradus.training.backbone import Backbone
from gradus.training.config import StageConfig
from gradus.training.losses.base import Classes, Loss
from gradus.training.packing import Batch, Layout, inference_batches

EVALUATION_TOKENS = 4096


class Texts(Protocol):
    """What a stage of gradient steps asks of a split; `Tokens` has it, and more."""

    @property
    def lengths(self) -> np.ndarray:
        """int64 [N], tokens of each text."""

    @property
    def keys(self) -> Sequence[str]:
        """N content hashes, for messages; may be empty."""

    def __len__(self) -> int: ...

    def batch(self, rows: Sequence[int] | np.ndarray) -> Batch:
        """The texts `rows` as a batch."""


Features = Callable[[Texts, Batch], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Examined:
    """What an evaluation on dev.select gives.

    Attributes:
        values: curve values.
        nats: float64 [N], the summed loss of each text of dev.select in its order, where the task
            follows the gap between train and dev.select; else None.
        terms: int64 [N], how many terms each sum has.
    """

    values: Mapping[str, float]
    nats: np.ndarray | None = None
    terms: np.ndarray | None = None


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
        reading: what features depend on beside tokens and weights, where that can be said.

    Class attributes:
        chooses_loss: whether `loss` minimises what a stage chooses from the catalog. A task that
            has a loss of its own takes no more than the label smoothing from it.
    """

    chooses_loss: ClassVar[bool] = True
    reading: str | None = None

    name: str
    backbone: Backbone
    head: nn.Module
    train: Texts
    select: Texts
    digest: str

    @property
    def feature_width(self) -> int:
        """Width of a row of features: d."""
        return self.backbone.width

    @abstractmethod
    def feature_lengths(self, tokens: Texts) -> np.ndarray:
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

    def terms(self) -> Mapping[str, float]:
        """The terms of the last `loss`, by name, each summed as it is and before its own weight;
        their means join the curves as ``train_NAME``. Empty where there is but one."""
        return {}

    def standing(self) -> Mapping[str, float]:
        """Numbers that join each row of the training curve as they stand."""
        return {}

    @abstractmethod
    def weight(self, batch: Batch) -> int:
        """How many terms `loss` sums."""

    def judged(self, features: torch.Tensor) -> torch.Tensor:
        """float32 [F, K], what merging an adapter must not move, the greatest of a row least of
        all: the head's outputs."""
        found: torch.Tensor = self.head(features)
        return found

    @abstractmethod
    def outputs(self, features: torch.Tensor) -> torch.Tensor:
        """What `evaluate` needs of every row of features, e.g. log-probabilities [F, K]."""

    @abstractmethod
    def evaluate(self, outputs: torch.Tensor) -> dict[str, float]:
        """Curve values on dev.select from the outputs of all its texts, in their order."""

    def begin_epoch(self, epoch: int) -> None:
        """Called before the batches of an epoch (from 0) are made, after a resume too; what it
        does may depend on nothing but the seed and `epoch`, and leaves the lengths as they are."""
        return

    def examine(self, features: Features, dtype: torch.dtype) -> Examined:
        """Evaluate on dev.select, which isn't empty.

        Called in evaluation and inference mode with the weights that are to be judged.
        ``features(texts, batch)`` are the rows [F, d] of a batch, computed under autocast to
        `dtype` or read from the stage's cache.
        """
        parts, order = [], []
        for rows in inference_batches(self.select.lengths, EVALUATION_TOKENS):
            batch = self.select.batch(rows)
            parts.append(self.outputs(features(self.select, batch)))
            order.append(batch.rows)
        lengths = self.feature_lengths(self.select)
        return Examined(self.evaluate(_in_order(torch.cat(parts), np.concatenate(order), lengths)))

    def nats(
        self, texts: Texts, rows: np.ndarray, dtype: torch.dtype
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Summed loss (float64 [n]) and number of terms (int64 [n]) of each of n texts, as
        `examine` gives them; None where the task doesn't follow the gap."""
        return None

    def flops(self, layout: Layout, per_token: float) -> float:
        """Floating-point operations of training on a batch; `per_token` counts the backbone's
        weights without the embeddings."""
        return per_token * layout.tokens

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

    def holders(self) -> Sequence[nn.Module]:
        """The modules beside the backbone's model that hold parameters of the task or of the model:
        who puts other tensors in the parameters' place must do so in all of them."""
        return (self.head,)

    def parameters(self) -> dict[str, nn.Parameter]:
        """Every parameter by name; the head's begin with ``head.``."""
        named = dict(self.backbone.model.named_parameters())
        named.update({f"head.{name}": p for name, p in self.head.named_parameters()})
        return named


def _in_order(values: torch.Tensor, rows: np.ndarray, lengths: np.ndarray) -> torch.Tensor:
    """Stretches of `values`, which lie in the order of texts `rows`, in the texts' own order."""
    starts = np.empty(len(rows), dtype=np.int64)
    starts[rows] = np.cumsum(lengths[rows]) - lengths[rows]
    places = np.concatenate([np.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)])
    return values[torch.from_numpy(places)]
