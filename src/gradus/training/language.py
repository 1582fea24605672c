"""Language modelling as a task of the training loop, causal and masked alike.

Legend: T tokens of a batch, n of them with a target, d hidden size, V vocabulary, D documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from gradus.errors import TrainingError
from gradus.training.activations import autocast
from gradus.training.backbone import Backbone
from gradus.training.blocks import NONE, Joined, LanguageBatch, Mixture
from gradus.training.losses.base import Loss
from gradus.training.masking import SHARE as MASKED_SHARE
from gradus.training.packing import Batch, Layout, inference_batches
from gradus.training.tally import Held, Tally
from gradus.training.task import Examined, Features, Task, Texts
from gradus.training.vocabulary_loss import read, summed_loss

EVALUATION_TOKENS = 8192


class LanguageHead(nn.Module):
    """What a language model has beyond its backbone: parameters, and the way to logits.

    A head's matrix that is the embeddings' belongs to the backbone and isn't counted again.

    Attributes:
        full: the model with its head, of transformers.
    """

    def __init__(self, full: Any) -> None:
        """`full` is a causal or masked language model.

        Raises:
            TrainingError: its head isn't built as those of known families are.
        """
        super().__init__()
        self.__dict__["full"] = full
        base = {id(parameter) for parameter in full.base_model.parameters()}
        for name, parameter in full.named_parameters():
            if id(parameter) not in base:
                self.register_parameter(name.replace(".", "__"), parameter)
        self.__dict__["_output"] = full.get_output_embeddings()
        if self.__dict__["_output"] is None:
            raise TrainingError(f"{type(full).__name__} has no language-model head")
        self.__dict__["_transform"] = _transform(full, self.__dict__["_output"])

    @property
    def weight(self) -> torch.Tensor:
        """[V, d]."""
        weight: torch.Tensor = self.__dict__["_output"].weight
        return weight

    @property
    def bias(self) -> torch.Tensor | None:
        """[V], or None."""
        bias: torch.Tensor | None = self.__dict__["_output"].bias
        return bias

    def transformed(self, hidden: torch.Tensor) -> torch.Tensor:
        """What the head's matrix is multiplied with, [n, d]."""
        found: torch.Tensor = self.__dict__["_transform"](hidden)
        return found


def _transform(full: Any, output: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """What a head does before its matrix: nothing in causal families."""
    if any(child is output for child in full.children()) and not hasattr(full, "vocab_transform"):
        return lambda hidden: hidden
    if hasattr(full, "vocab_transform"):
        # DistilBERT's, whose parts lie side by side.
        return lambda hidden: full.vocab_layer_norm(full.activation(full.vocab_transform(hidden)))
    outer = [child for child in full.children() if any(m is output for m in child.modules())]
    if len(outer) != 1:
        raise TrainingError(f"{type(full).__name__}: its language-model head isn't understood")

    def transform(hidden: torch.Tensor) -> torch.Tensor:
        with _handing_on(output):
            found: torch.Tensor = outer[0](hidden)
        return found

    return transform


@contextmanager
def _handing_on(module: nn.Module) -> Iterator[None]:
    """Inside the block the module gives back what it gets."""
    module.forward = lambda given: given
    try:
        yield
    finally:
        del module.forward


class LanguageTask(Task):
    """Predict tokens: all of them from the left, or hidden ones from both sides.

    Attributes:
        full: the model with its head.
        arithmetic: dtype of the head's products.
        causal: whether every token is predicted, so that bits a byte can be told.
    """

    chooses_loss: ClassVar[bool] = False
    head: LanguageHead
    train: Mixture
    select: Joined

    def __init__(
        self,
        full: Any,
        *,
        name: str,
        train: Mixture,
        held: Mapping[str, Held],
        causal: bool,
        digest: str,
        z_loss: float = 0.0,
        arithmetic: torch.dtype = torch.float32,
    ) -> None:
        """`held` are the examined documents by corpus; the loss of all is what is judged by."""
        self.name, self.full, self.digest = name, full, digest
        self.backbone, self.head = Backbone(full.base_model), LanguageHead(full)
        self.train, self.select = train, Joined([one.blocks for one in held.values()])
        self.causal, self.z_loss, self.arithmetic = causal, z_loss, arithmetic
        self._held = held

    def feature_lengths(self, tokens: Texts) -> np.ndarray:
        """A hidden state a token."""
        return tokens.lengths

    def holders(self) -> Sequence[nn.Module]:
        """The head, and the model's own modules that it reads, which tied embeddings lie in too."""
        base = self.full.base_model
        return (self.head, *(child for child in self.full.children() if child is not base))

    def features(self, hidden: torch.Tensor, layout: Layout) -> torch.Tensor:
        """The hidden states themselves, in the dtype that they come in."""
        return hidden

    def begin_epoch(self, epoch: int) -> None:
        """Cut the corpora elsewhere and draw masks anew."""
        self.train.begin_epoch(epoch)

    def loss(self, features: torch.Tensor, batch: Batch, loss: Loss) -> torch.Tensor:
        """Summed cross-entropy of the batch's targets in nats; `loss` has no say in it."""
        hidden, targets = self._predicted(features, batch)
        with autocast(self.arithmetic):
            hidden = self.head.transformed(hidden)
        head = self.head
        return summed_loss(
            hidden, head.weight, head.bias, targets, z_loss=self.z_loss, dtype=self.arithmetic
        )

    def weight(self, batch: Batch) -> int:
        """n, at least 1."""
        return max(1, int((_language(batch).targets != NONE).sum()))

    def outputs(self, features: torch.Tensor) -> torch.Tensor:
        """The hidden states; what they are worth is for `examine` to say, which has the targets."""
        return features

    def evaluate(self, outputs: torch.Tensor) -> dict[str, float]:
        """Nothing, see `outputs`."""
        return {}

    def merit(self, row: Mapping[str, float]) -> tuple[float, ...]:
        """Less loss on dev.select."""
        return (-row["select_loss"],)

    def flops(self, layout: Layout, per_token: float) -> float:
        """Backbone, attention (causal: its half) and the head's products where something is
        predicted; three times the forward pass (Kaplan et al. 2020, section 2.1)."""
        pairs = sum(n * length**2 for n, length in layout.runs) * (0.5 if self.causal else 1.0)
        attention = 12.0 * self.backbone.layers * self.backbone.width * pairs
        share = 1.0 if self.causal else MASKED_SHARE
        head = 6.0 * self.head.weight.numel() * layout.tokens * share
        return per_token * layout.tokens + attention + head

    def examine(self, features: Features, dtype: torch.dtype) -> Examined:
        """Loss, perplexity, bits a byte or accuracy on dev.select, with an interval over documents
        and broken down by what its documents tell."""
        tally = Tally(list(self._held.values()))
        sums, terms = np.zeros(len(self.select)), np.zeros(len(self.select), dtype=np.int64)
        for rows in inference_batches(self.select.lengths, EVALUATION_TOKENS):
            batch = self.select.batch(rows)
            where, nats, hits = self._read(features(self.select, batch), batch)
            owners, targets = batch.rows[batch.owners[where]], batch.targets.numpy()[where]
            np.add.at(sums, owners, nats)
            np.add.at(terms, owners, 1)
            tally.add(self.select.part_of(owners), batch.places[where], targets, nats, hits)
        return Examined(tally.values(causal=self.causal), nats=sums, terms=terms)

    def nats(
        self, texts: Texts, rows: np.ndarray, dtype: torch.dtype
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Task.nats`; train's blocks are cut and masked as in its first epoch, so that they
        are the same ones each time."""
        epoch = self.train.epoch
        self.train.begin_epoch(0)
        sums, terms = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int64)
        try:
            for part in inference_batches(texts.lengths[rows], EVALUATION_TOKENS):
                batch = _language(texts.batch(rows[part]))
                with autocast(dtype):
                    hidden = self.features(self.backbone.run(batch), batch.layout)
                where, nats, _ = self._read(hidden, batch)
                owners = part[batch.owners[where]]
                np.add.at(sums, owners, nats)
                np.add.at(terms, owners, 1)
        finally:
            self.train.begin_epoch(epoch)
        return sums, terms

    def _predicted(self, features: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states [n, d] and targets [n] where there is something to predict."""
        targets = _language(batch).targets
        if self.causal and bool((targets != NONE).all()):
            return features, targets
        where = (targets != NONE).nonzero().squeeze(1)
        return features[where], targets[where]

    def _read(
        self, features: torch.Tensor, batch: Batch
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places in the batch that predict something, int64 [n], the loss there, float64 [n], and
        whether the token is the likeliest, bool [n]."""
        hidden, targets = self._predicted(features, batch)
        with autocast(self.arithmetic):
            hidden = self.head.transformed(hidden)
        head = self.head
        nats, hits = read(hidden, head.weight, head.bias, targets, dtype=self.arithmetic)
        where = np.flatnonzero(_language(batch).targets.numpy() != NONE)
        return where, nats.double().numpy(), hits.numpy()


def _language(batch: Batch) -> LanguageBatch:
    assert isinstance(batch, LanguageBatch)
    return batch
