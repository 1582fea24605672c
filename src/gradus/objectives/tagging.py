"""The task that `Tag` hands to the training loop.

Legend: V windows of all texts, B windows in a batch, T tokens in it, F words predicted from it,
W words of all texts, d hidden size, S shapes, K tags, N texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional
from torch.nn.functional import cross_entropy, log_softmax, nll_loss

from gradus.objectives.pooled import load_head
from gradus.objectives.pooling import LinearHead
from gradus.objectives.tagging_sequences import Tagset
from gradus.objectives.tagging_shapes import SHAPES
from gradus.objectives.tagging_spans import spans_of
from gradus.objectives.tagging_windows import Windowed
from gradus.records import Span
from gradus.steps.base import Monitor
from gradus.training.backbone import Backbone
from gradus.training.config import StageConfig
from gradus.training.losses.base import Classes, Loss
from gradus.training.packing import Batch, Layout, Tokens
from gradus.training.solver import solve_head
from gradus.training.storage import stretches
from gradus.training.task import Task, Texts

FEATURE_NORM = 10.0
# How many words the head is solved on: more change nothing beyond noise and cost in proportion.
SOLVE_WORDS = 60_000
_NORM_SAMPLE = 256


@dataclass(frozen=True, slots=True)
class WordLayout(Layout):
    """A layout that knows where the words are that a batch predicts.

    Attributes:
        words: int64 [F], their numbers through all texts.
        first: int64 [F], each word's first token in the row of T.
        sizes: int64 [F], how many tokens it has.
        shapes: int64 [T], the shape of the word that a token belongs to.
    """

    words: torch.Tensor
    first: torch.Tensor
    sizes: torch.Tensor
    shapes: torch.Tensor


class WordTokens(Tokens):
    """V tokenised windows, and the words that are predicted from them.

    Attributes:
        owned: int64 [V], words predicted from each window.
        words: int64 [W], those words' numbers, window after window.
        texts: int64 [N], words of each text.
        cut: texts that needed several windows.
        dropped: words for which the tokenizer had no token.
    """

    def __init__(self, windowed: Windowed, keys: Sequence[str] = ()) -> None:
        """`keys` are the content hashes of the N texts, for messages."""
        of_windows = [keys[i] for i in windowed.text] if keys else ()
        super().__init__(windowed.ids, of_windows)
        self.owned, self.words, self.texts = windowed.owned, windowed.words, windowed.lengths
        self.cut, self.dropped = windowed.cut, windowed.dropped
        self._first, self._sizes = windowed.first, windowed.sizes
        self._starts = np.concatenate([[0], np.cumsum(self.owned)])
        self._shapes = np.fromiter((s for row in windowed.shapes for s in row), dtype=np.int8)

    def batch(self, rows: Sequence[int] | np.ndarray) -> Batch:
        """As for texts; the layout is a `WordLayout`."""
        plain = super().batch(rows)
        ordered = plain.rows
        places = stretches(self._starts, self.owned, ordered)
        begins = np.cumsum(self.lengths[ordered]) - self.lengths[ordered]
        first = self._first[places] + np.repeat(begins, self.owned[ordered])
        shapes = self._shapes[self.where(ordered)].astype(np.int64)
        layout = WordLayout(
            runs=plain.layout.runs,
            words=torch.from_numpy(self.words[places]),
            first=torch.from_numpy(first),
            sizes=torch.from_numpy(self._sizes[places]),
            shapes=torch.from_numpy(shapes),
        )
        return Batch(rows=ordered, layout=layout, ids=plain.ids)


class TagHead(LinearHead):
    """Logits of tags, and, where shapes are used, what is added to the embeddings.

    `shapes` [S, d] begins at zero: the model then is the one that was given.
    """

    def __init__(self, width: int, tags: int, scale: float, *, shapes: bool) -> None:
        super().__init__(width, tags, scale)
        self.shapes = nn.Parameter(torch.zeros(len(SHAPES), width)) if shapes else None


# A step of the optimiser moves weights near 0 by its rate; hidden states are of size 1.
SHAPE_SCALE = 10.0


class ShapedBackbone(Backbone):
    """A backbone whose lowest layer also gets the shapes of words."""

    shapes: nn.Parameter | None = None

    def run(
        self,
        batch: Batch,
        hidden: torch.Tensor | None = None,
        low: int = 0,
        high: int | None = None,
    ) -> torch.Tensor:
        """As `Backbone.run`; a batch with a `WordLayout` has its shapes added at layer 0."""
        layout = batch.layout
        if hidden is not None or self.shapes is None or not isinstance(layout, WordLayout):
            return super().run(batch, hidden, low, high)
        rows = SHAPE_SCALE * self.shapes[layout.shapes]
        prompt = self._adapter.input() if self._adapter else None
        if prompt is not None:  # an adapter's virtual tokens have no shape
            pad = (0, 0, len(prompt), 0)
            rows = torch.cat([functional.pad(r, pad).flatten(0, 1) for r in layout.split(rows)])
        with self._adding(rows):
            return super().run(batch, hidden, low, high)

    @contextmanager
    def _adding(self, rows: torch.Tensor) -> Iterator[None]:
        """Add the rows [T, d] to what comes into the lowest layer, part by part."""
        done = 0

        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            nonlocal done
            given = args[0] if args else kwargs["hidden_states"]
            tokens = given.shape[0] * given.shape[1]
            changed = given + rows[done : done + tokens].view_as(given).to(given.dtype)
            done += tokens
            if args:
                return (changed, *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": changed}

        handle = self.groups.layers[0].register_forward_pre_hook(hook, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()


def word_features(hidden: torch.Tensor, layout: WordLayout, how: str) -> torch.Tensor:
    """float32 [F, d] from hidden [T, d]: each word's first token, or the mean of its tokens."""
    if how == "first":
        return hidden.index_select(0, layout.first).float()
    words = torch.repeat_interleave(layout.sizes)
    begins = torch.cumsum(layout.sizes, 0) - layout.sizes
    places = layout.first[words] + torch.arange(len(words)) - begins[words]
    sums = hidden.new_zeros((len(layout.first), hidden.shape[1]), dtype=torch.float32)
    sums = sums.index_add(0, words, hidden.index_select(0, places).float())
    return sums / layout.sizes[:, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """What the words of a split are labelled with.

    Attributes:
        tags: int64 [W].
        words: the (start, end) of each text's words.
        spans: N tuples of spans.
    """

    tags: torch.Tensor
    words: Sequence[Sequence[tuple[int, int]]]
    spans: Sequence[tuple[Span, ...]]


class TagTask(Task):
    """Words in context, their tags, and a linear head on hidden states."""

    name = "tag"
    head: TagHead
    backbone: ShapedBackbone
    train: WordTokens
    select: WordTokens

    def __init__(
        self,
        *,
        backbone: ShapedBackbone,
        head: TagHead,
        train: WordTokens,
        select: WordTokens,
        gold: Gold,
        select_gold: Gold,
        tagset: Tagset,
        word: str,
        monitor: Monitor,
        digest: str,
    ) -> None:
        """`gold` belongs to train, `select_gold` to dev.select; see `Task` for the rest."""
        self.backbone, self.head, self.train, self.select = backbone, head, train, select
        backbone.shapes = head.shapes
        self.gold, self.select_gold, self.tagset, self.word = gold, select_gold, tagset, word
        self.monitor, self.digest = monitor, digest

    def feature_lengths(self, tokens: Texts) -> np.ndarray:
        """The words that each window predicts."""
        assert isinstance(tokens, WordTokens)
        return tokens.owned

    def features(self, hidden: torch.Tensor, layout: Layout) -> torch.Tensor:
        """Hidden states of words, float32 [F, d]."""
        assert isinstance(layout, WordLayout)
        return word_features(hidden, layout, self.word)

    @property
    def classes(self) -> Classes:
        """The K tags and how many words of train have each."""
        words = self.gold.tags[torch.from_numpy(self.train.words)]
        counts = torch.bincount(words, minlength=len(self.tagset))
        return Classes(tuple(self.tagset.tags), tuple(counts.tolist()))

    def loss(self, features: torch.Tensor, batch: Batch, loss: Loss) -> torch.Tensor:
        """The stage's loss of the words' tags, summed, in nats."""
        assert isinstance(batch.layout, WordLayout)
        return loss(self.head(features), self.gold.tags[batch.layout.words], features)

    def weight(self, batch: Batch) -> int:
        """F."""
        assert isinstance(batch.layout, WordLayout)
        return len(batch.layout.words)

    def outputs(self, features: torch.Tensor) -> torch.Tensor:
        """Log-probabilities [F, K], float64."""
        return log_softmax(self.head(features).double(), dim=-1)

    def evaluate(self, outputs: torch.Tensor) -> dict[str, float]:
        """Mean cross-entropy in nats, F1 of spans and the monitor's metrics: ``select_NAME``."""
        rows = torch.empty_like(outputs)
        rows[torch.from_numpy(self.select.words)] = outputs
        found = spans_of(rows.numpy(), self.select_gold.words, self.tagset)
        row = {"select_loss": float(nll_loss(rows, self.select_gold.tags))}
        for name, value in self.monitor.score(found).items():
            row[f"select_{name}"] = float(value)
        return {**row, "select_span_f1": f1(found, self.select_gold.spans)}

    def merit(self, row: Mapping[str, float]) -> tuple[float, ...]:
        """A greater F1; among equals the lower loss."""
        return (row["select_span_f1"], -row["select_loss"])

    def solve(self, features: torch.Tensor, stage: StageConfig, loss: Loss) -> dict[str, float]:
        """Multinomial logistic regression on words, at most `SOLVE_WORDS` of them."""
        gold = self.gold.tags[torch.from_numpy(self.train.words)]
        if len(features) > SOLVE_WORDS:
            drawn = np.random.Generator(np.random.PCG64(0)).permutation(len(features))
            chosen = torch.from_numpy(np.sort(drawn[:SOLVE_WORDS]))
            features, gold = features[chosen], gold[chosen]
        unit = self.head.scale / FEATURE_NORM
        found = solve_head(
            features * unit, gold, len(self.tagset), l2=stage.l2, weights=loss.weights
        )
        with torch.no_grad():
            self.head.weight.copy_(found.weight / FEATURE_NORM)
            self.head.bias.copy_(found.bias)
            summed = cross_entropy(self.head(features), gold, weight=loss.weights, reduction="sum")
        return {
            "train_loss": float(summed) / len(gold),
            "iterations": float(found.iterations),
            "solved_words": float(len(features)),
        }

    @torch.inference_mode()
    def usual_scale(self) -> float:
        """The scale that brings features to a root-mean-square norm of 10."""
        total, words = 0.0, 0
        sample = np.arange(min(_NORM_SAMPLE, len(self.train)))
        for start in range(0, len(sample), 32):
            batch = self.train.batch(sample[start : start + 32])
            features = self.features(self.backbone.run(batch), batch.layout)
            total += float(features.double().square().sum())
            words += len(features)
        return FEATURE_NORM / float(np.sqrt(total / words))

    def save_head(self, path: Path) -> None:
        """Write ``weight`` [K, d], ``bias`` [K] and, where they are used, ``shapes`` [S, d]."""
        save_file({n: p.detach().contiguous() for n, p in self.head.named_parameters()}, path)

    def load_head(self, path: Path) -> None:
        """Read what `save_head` wrote."""
        load_head(self.head, path)


def f1(predicted: Sequence[tuple[Span, ...]], gold: Sequence[tuple[Span, ...]]) -> float:
    """F1 of exact spans over all texts; 0 where there is nothing to find and nothing found."""
    hits = sum(len(set(a) & set(b)) for a, b in zip(predicted, gold, strict=True))
    count = sum(len(of) for of in predicted) + sum(len(of) for of in gold)
    return 2 * hits / count if count else 0.0
