"""The task of objective `instruct`: the next token of replies.

Legend: N conversations, T tokens of a batch, R of them that belong to replies, d hidden size, V
vocabulary.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from gradus.checkpoints import find_manifest, hash_json
from gradus.data.conversations import turns_of
from gradus.data.dataset import Split, TrainingData
from gradus.errors import DataError, TrainingError
from gradus.generation.chat import Chat
from gradus.generation.opening import ends
from gradus.objectives.base import Prepared
from gradus.objectives.instruct import InstructConfig
from gradus.records import CheckpointRef
from gradus.scoring.load import load_causal_lm
from gradus.training import models
from gradus.training.adapters import attach
from gradus.training.adapters.attached import of
from gradus.training.backbone import Backbone
from gradus.training.losses.base import Loss
from gradus.training.packing import Batch, Layout, Tokens
from gradus.training.task import Task

DEFAULT_MAX_TOKENS = 512
# Rows of logits held at a time, each of V float32.
CHUNK = 256


@dataclass(frozen=True, slots=True)
class ReplyLayout(Layout):
    """A layout that knows the tokens of replies.

    Attributes:
        before: int64 [R], the place in the row of the token that each follows.
        targets: int64 [R], their ids.
    """

    before: torch.Tensor
    targets: torch.Tensor


class ReplyTokens(Tokens):
    """N conversations end to end.

    Attributes:
        counts: int64 [N], tokens of replies that something stands before.
    """

    def __init__(
        self,
        ids: Sequence[Sequence[int]],
        answers: Sequence[Sequence[int]],
        keys: Sequence[str] = (),
        truncated: int = 0,
    ) -> None:
        """`answers` has 1 for each token of `ids` that belongs to a reply."""
        super().__init__(ids, keys, truncated)
        self._answers = np.fromiter((a for row in answers for a in row), dtype=np.bool_)
        # What nothing stands before can't be predicted.
        self._answers[self.offsets[:-1]] = False
        sums = np.concatenate([[0], np.cumsum(self._answers)])
        self.counts: np.ndarray = sums[self.offsets[1:]] - sums[self.offsets[:-1]]

    def batch(self, rows: Sequence[int] | np.ndarray) -> Batch:
        """As for texts; the layout is a `ReplyLayout`."""
        plain = super().batch(rows)
        places = torch.from_numpy(np.flatnonzero(self._answers[self.where(plain.rows)]))
        layout = ReplyLayout(plain.layout.runs, before=places - 1, targets=plain.ids[places])
        return Batch(rows=plain.rows, layout=layout, ids=plain.ids)


class WordHead(nn.Module):
    """Logits [.., V] of hidden states [.., d]: the model's own last matrix.

    It has no parameters of its own unless they may train: a matrix that is the embeddings' belongs
    to the embeddings.
    """

    def __init__(self, matrix: nn.Module, *, trains: bool) -> None:
        super().__init__()
        if trains:
            self.matrix = matrix
        else:
            self.__dict__["matrix"] = matrix

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """float32 [.., V]."""
        logits: torch.Tensor = self.matrix(hidden)
        return logits.float()


class ReplyTask(Task):
    """Cross-entropy of the tokens of replies.

    A row of features [R, d + 1] is the hidden state before a token of a reply and, in its last
    column, that token's id, which float32 holds exactly below 2^24.
    """

    chooses_loss: ClassVar[bool] = False
    name = "instruct"
    train: ReplyTokens
    select: ReplyTokens

    def __init__(
        self,
        backbone: Backbone,
        matrix: nn.Module,
        train: ReplyTokens,
        select: ReplyTokens,
        *,
        trains: bool | None,
    ) -> None:
        """`matrix` gives the words; `trains` says whether it may train, None that it may unless
        the backbone has an adapter."""
        self.backbone, self._trains = backbone, trains
        self._frozen, self._open = WordHead(matrix, trains=False), WordHead(matrix, trains=True)
        self.train, self.select = train, select
        self.digest = hash_json([list(train.keys), list(select.keys), train.total, select.total])

    @property
    def head(self) -> WordHead:  # type: ignore[override]  # an adapter comes after the task
        """The words' matrix, with parameters if they train."""
        trains = self._trains
        if trains is None:
            trains = of(self.backbone.model) is None
        return self._open if trains else self._frozen

    @property
    def feature_width(self) -> int:
        """d + 1."""
        return self.backbone.width + 1

    def feature_lengths(self, tokens: Any) -> np.ndarray:
        """int64 [N], tokens of replies."""
        counts: np.ndarray = tokens.counts
        return counts

    def features(self, hidden: torch.Tensor, layout: Layout) -> torch.Tensor:
        """float32 [R, d + 1]."""
        assert isinstance(layout, ReplyLayout)
        rows = hidden[layout.before].float()
        return torch.cat([rows, layout.targets[:, None].float()], dim=1)

    def loss(self, features: torch.Tensor, batch: Batch, loss: Loss) -> torch.Tensor:
        """Summed over the tokens of replies, in nats."""
        smoothing = float(getattr(loss.config, "label_smoothing", 0.0))
        parts = [
            checkpoint(self._nats, part, smoothing, use_reentrant=False)
            for part in torch.split(features, CHUNK)
        ]
        return torch.stack([part.sum() for part in parts]).sum()

    def _nats(self, features: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
        """float32 [R], the loss of each token."""
        logits = self.head(features[:, :-1])
        return cross_entropy(
            logits, features[:, -1].long(), reduction="none", label_smoothing=smoothing
        )

    def judged(self, features: torch.Tensor) -> torch.Tensor:
        """float32 [R, 2], log-probabilities of each token and of the likeliest other one: the
        second is the greater where greedy decoding would go wrong."""
        parts = []
        for part in torch.split(features, CHUNK):
            rows = self.head(part[:, :-1]).log_softmax(-1)
            targets = part[:, -1:].long()
            own = rows.gather(1, targets)
            others = rows.scatter(1, targets, -torch.inf).amax(1, keepdim=True)
            parts.append(torch.cat([own, others], dim=1))
        return torch.cat(parts)

    def weight(self, batch: Batch) -> int:
        """R."""
        assert isinstance(batch.layout, ReplyLayout)
        return len(batch.layout.targets)

    def outputs(self, features: torch.Tensor) -> torch.Tensor:
        """float32 [R], the loss of each token in nats."""
        return torch.cat([self._nats(part) for part in torch.split(features, CHUNK)])

    def evaluate(self, outputs: torch.Tensor) -> dict[str, float]:
        """``select_loss``, nats a token of a reply."""
        return {"select_loss": float(outputs.double().mean())}

    def merit(self, row: Mapping[str, float]) -> tuple[float, ...]:
        """The lower the loss, the better."""
        return (-row["select_loss"],)


def prepared(
    config: InstructConfig, ref: CheckpointRef, data: TrainingData, max_tokens: int | None
) -> Prepared:
    """See `Instruct.prepare`.

    Raises:
        CheckpointError: the weights aren't those of a causal language model.
        TrainingError: train has no conversation.
    """
    if not len(data.train):
        raise TrainingError(f"{data.name}: train has no conversation to learn from")
    model, tokenizer = load_causal_lm(ref), models.load_tokenizer(ref)
    chat, stops = Chat(tokenizer), ends(model, tokenizer)
    manifest = find_manifest(Path(ref.path))
    before = dict(manifest.preprocessing) if manifest else {}
    most = int(max_tokens or before.get("max_tokens", DEFAULT_MAX_TOKENS))
    most = min(most, models.max_positions(model) or most)
    train, select = (encoded(chat, part, most, stops) for part in (data.train, data.select))
    matrix, backbone = model.get_output_embeddings(), Backbone(model.base_model)
    tied = matrix.weight is model.get_input_embeddings().weight
    if not tied:
        matrix.weight.data = matrix.weight.data.clone()  # as `own_aligned_memory` does
    task = ReplyTask(backbone, matrix, train, select, trains=False if tied else config.head)
    preprocessing = {"max_tokens": most, "target": "text", "chat": chat.digest[:16]}

    def save(folder: Path) -> None:
        save_language_model(model, tokenizer, folder, stops)

    return Prepared(
        task=task,
        save=save,
        labels=(),
        preprocessing=preprocessing,
        notes=_notes(chat, train, most),
        facts={
            **preprocessing,
            "template": "plain" if chat.plain else "the tokenizer's",
            "packed": backbone.packs,
            "conversations": len(data.train),
            "train_tokens_per_epoch": train.total,
            "reply_tokens_per_epoch": int(train.counts.sum()),
            "truncated_share": train.truncated / len(train),
        },
    )


def encoded(chat: Chat, split: Split, most: int, stops: Collection[int]) -> ReplyTokens:
    """The conversations of a split with their replies, of at most `most` tokens each."""
    ids, answers, keys, cut = [], [], [], 0
    for text, reply, key in zip(split.texts, split.labels, split.ids, strict=True):
        try:
            examples = chat.coded((*turns_of(text), ("assistant", str(reply))), stops)
        except DataError as error:
            raise DataError(f"conversation {key[:12]}: {error}") from error
        for example in examples:
            cut += len(example.ids) > most
            kept = example.cut(most)
            ids.append(kept.ids)
            answers.append(kept.answers)
            keys.append(key)
    return ReplyTokens(ids, answers, keys, cut)


def _notes(chat: Chat, train: ReplyTokens, most: int) -> tuple[str, ...]:
    notes = []
    if chat.plain:
        notes.append("The tokenizer has no chat template: turns are written plainly.")
    if train.truncated:
        notes.append(
            f"{train.truncated:,} of {len(train):,} conversations of train are longer than {most} "
            "tokens and lost their beginning."
        )
    return tuple(notes)


def save_language_model(model: Any, tokenizer: Any, folder: Path, stops: Collection[int]) -> None:
    """A causal language model with head, tokenizer and chat template, in Hugging Face layout.

    With an adapter the weights are saved as they were, the adapter beside them in peft's layout.
    """
    inner = model.base_model
    attached = of(inner)
    own = {f"{model.base_model_prefix}.{name}" for name in attached.parameters} if attached else ()
    weights = {
        name.replace(".base_layer", ""): tensor
        for name, tensor in model.state_dict().items()
        if name not in own
    }
    if model.generation_config is not None:
        model.generation_config.eos_token_id = sorted(stops)
    with models._quietly():
        model.save_pretrained(folder, state_dict=weights)
        tokenizer.save_pretrained(folder)
    attach.write(inner, folder)
