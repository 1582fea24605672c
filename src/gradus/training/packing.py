"""Batches without padding: texts laid end to end, attention inside runs of equal length.

Legend: B texts in a batch, T tokens in it (the sum of their lengths), d hidden size, h heads,
k size of a head, G runs of texts of equal length; a run has n texts of L tokens.

A batch is one row of T tokens. Everything that works token by token (linear layers, norms) sees
that row; attention takes the row apart into its runs, and no token of padding is ever computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from gradus.training.storage import stretches
from gradus.training.triangle import LONGEST, causal_attention

ATTENTION = "gradus_packed"
POOL = 4
# Attention over texts of up to this many tokens is written out rather than fused.
SHORT = 64

# The layout of the batch that is under way. Attention is called deep inside the model, which
# hands nothing of ours through.
_current: list[Layout] = []


@dataclass(frozen=True, slots=True)
class Layout:
    """Runs ``(n, L)`` of a packed row, in order."""

    runs: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Layout:
        """The runs of texts with these lengths, which lie in that order."""
        runs: list[list[int]] = []
        for length in lengths:
            if runs and runs[-1][1] == length:
                runs[-1][0] += 1
            else:
                runs.append([1, int(length)])
        return cls(tuple((n, length) for n, length in runs))

    def lengthened(self, by: int) -> Layout:
        """The same texts, each `by` tokens longer."""
        return Layout(tuple((n, length + by) for n, length in self.runs))

    @property
    def texts(self) -> int:
        """B."""
        return sum(n for n, _ in self.runs)

    @property
    def tokens(self) -> int:
        """T."""
        return sum(n * length for n, length in self.runs)

    def positions(self) -> torch.Tensor:
        """int64 [T], each token's place in its text from 0."""
        return torch.cat([torch.arange(length).repeat(n) for n, length in self.runs])

    def split(self, row: torch.Tensor, dim: int = 0) -> Iterator[torch.Tensor]:
        """The runs of a packed row, each [.., n, L, ..] in the place of its T.

        One split, whose gradient is one concatenation; slices would each give back a whole row.
        """
        parts = torch.split_with_sizes(row, [n * length for n, length in self.runs], dim)
        for part, (n, length) in zip(parts, self.runs, strict=True):
            yield part.view(*part.shape[:dim], n, length, *part.shape[dim + 1 :])

    def slices(self) -> Iterator[tuple[slice, int, int]]:
        """Each run's slice of the row with its n and L."""
        start = 0
        for n, length in self.runs:
            yield slice(start, start + n * length), n, length
            start += n * length


@dataclass(frozen=True, slots=True)
class Batch:
    """A packed batch.

    Attributes:
        rows: int64 [B], which examples it holds, ordered by length.
        layout: where they lie.
        ids: int64 [T], token ids.
        types: int64 [T], 1 for the tokens of a pair's second text; None where there are no pairs.
    """

    rows: np.ndarray
    layout: Layout
    ids: torch.Tensor
    types: torch.Tensor | None = None


@contextmanager
def laid_out(layout: Layout) -> Iterator[None]:
    """Attention inside the block follows `layout`."""
    _current.append(layout)
    try:
        yield
    finally:
        _current.pop()


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    is_causal: bool | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention over a packed row, with the signature that transformers calls.

    query is [1, h, T, k], key and value [1, h or fewer, T, k]; returns [1, T, h, k]. Where keys and
    values are v more than queries, the first v are a prefix that stands before every text.
    """
    if attention_mask is not None or softcap is not None:
        raise ValueError("packed attention takes neither masks nor soft caps")
    causal = bool(getattr(module, "is_causal", False)) if is_causal is None else is_causal
    heads, size = query.shape[1], query.shape[3]
    layout, out = _current[-1], []
    before = key.shape[2] - query.shape[2]
    runs = (
        layout.split(query.squeeze(0), 1),
        _prefixed(layout, key.squeeze(0), before),
        _prefixed(layout, value.squeeze(0), before),
    )
    for q, k, v in zip(*runs, strict=True):
        n, length = q.shape[1:3]
        reach = length + before
        windowed = sliding_window is not None and reach > sliding_window
        if length <= SHORT:
            seen = _window(length, int(sliding_window or reach), causal, before)
            y = _short(q, k, v, seen if causal or windowed else None, scaling, dropout)
        elif causal and _learns(q, reach, dropout) and not windowed and not before:
            y = _triangle(q, k, v, scaling)
        else:
            masked = windowed or (causal and before > 0)
            window = int(sliding_window or reach)
            mask = _window(length, window, causal, before) if masked else None
            y = scaled_dot_product_attention(
                q.transpose(0, 1),
                k.transpose(0, 1),
                v.transpose(0, 1),
                attn_mask=mask,
                dropout_p=dropout,
                is_causal=causal and mask is None,
                scale=scaling,
                enable_gqa=k.shape[0] != heads,
            ).transpose(0, 1)
        out.append(y.permute(1, 2, 0, 3).reshape(n * length, heads, size))
    return (out[0] if len(out) == 1 else torch.cat(out))[None], None


def _prefixed(layout: Layout, row: torch.Tensor, before: int) -> Iterator[torch.Tensor]:
    """The runs [h, n, v + L, k] of `row` [h, v + T, k], its first v = `before` in front of each."""
    if not before:
        yield from layout.split(row, 1)
        return
    prefix = row[:, None, :before]
    for run in layout.split(row[:, before:], 1):
        yield torch.cat([prefix.expand(-1, run.shape[1], -1, -1), run], dim=2)


def _learns(query: torch.Tensor, reach: int, dropout: float) -> bool:
    """Whether a backward pass follows that the fused kernel is slow at."""
    return torch.is_grad_enabled() and query.requires_grad and reach <= LONGEST and not dropout


def _triangle(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """Causal attention [h, n, L, k] that keeps its probabilities for the backward pass."""
    repeat = query.shape[0] // key.shape[0]
    if repeat > 1:
        key, value = key.repeat_interleave(repeat, 0), value.repeat_interleave(repeat, 0)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    q, k, v = (each.flatten(0, 1) for each in (query, key, value))
    return causal_attention(q, k, v, scale).view(query.shape)


def _short(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
    dropout: float,
) -> torch.Tensor:
    """Attention [h, n, L, k] written out: over short texts the fused kernel's backward pass costs
    more than the products themselves."""
    repeat = query.shape[0] // key.shape[0]
    if repeat > 1:
        key, value = key.repeat_interleave(repeat, 0), value.repeat_interleave(repeat, 0)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = (query * scale) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = torch.nn.functional.dropout(scores.softmax(-1), dropout, training=dropout > 0)
    return weights.to(value.dtype) @ value


def _window(length: int, window: int, causal: bool, before: int = 0) -> torch.Tensor:
    """bool [L, v + L], True where a query (row) sees a key (column), v = `before` of which stand
    before the first query."""
    distance = torch.arange(before, before + length)[:, None] - torch.arange(before + length)[None]
    return (distance < window) & (distance >= 0) if causal else distance.abs() < window


def register() -> None:
    """Make the attention known to transformers under the name `ATTENTION`."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, packed_attention)


class Tokens:
    """N tokenised texts, laid end to end.

    Attributes:
        ids: int32 [sum of lengths].
        lengths: int64 [N].
        offsets: int64 [N + 1], where each text begins.
        keys: N content hashes, for messages.
        truncated: number of texts that were longer than allowed.
        types: int8 [sum of lengths], the side of a pair that each token is on; None without pairs.
    """

    def __init__(
        self,
        texts: Sequence[Sequence[int]],
        keys: Sequence[str] = (),
        truncated: int = 0,
        types: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self.lengths = np.array([len(t) for t in texts], dtype=np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        self.ids = np.fromiter((i for t in texts for i in t), dtype=np.int32)
        self.keys, self.truncated = tuple(keys), truncated
        self.types = None
        if types is not None:
            self.types = np.fromiter((i for t in types for i in t), dtype=np.int8)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def total(self) -> int:
        """Number of tokens."""
        return int(self.offsets[-1])

    def where(self, rows: np.ndarray) -> np.ndarray:
        """int64 [T], the places in `ids` of the texts `rows`, one text after the other."""
        return stretches(self.offsets, self.lengths, rows)

    def batch(self, rows: Sequence[int] | np.ndarray) -> Batch:
        """The texts `rows` as a batch, ordered by length (ties keep their order)."""
        given = np.asarray(rows, dtype=np.int64)
        ordered = given[np.argsort(self.lengths[given], kind="stable")]
        places = self.where(ordered)
        types = None if self.types is None else self.types[places].astype(np.int64)
        return Batch(
            rows=ordered,
            layout=Layout.of(self.lengths[ordered].tolist()),
            ids=torch.from_numpy(self.ids[places].astype(np.int64)),
            types=None if types is None else torch.from_numpy(types),
        )


def inference_batches(lengths: np.ndarray, max_tokens: int) -> list[np.ndarray]:
    """Rows in batches of at most `max_tokens` tokens (at least one text), shortest first."""
    return _cut(np.argsort(lengths, kind="stable"), lengths, max_tokens)


def epoch_batches(
    lengths: np.ndarray, seed: Sequence[int], *, size: int | None, tokens: int | None
) -> list[np.ndarray]:
    """One epoch's batches of `size` texts, or of at most `tokens` tokens.

    Texts are shuffled and dealt into pools of `POOL` batches; each pool is sorted by length and
    cut, and all batches are shuffled again. A batch so has few different lengths, while chance
    still decides whom a text meets. `seed` is a sequence of whole numbers (the step's seed, the
    stage, the epoch); the same seed gives the same batches on every machine.
    """
    draw = np.random.Generator(np.random.PCG64(list(seed)))
    order = draw.permutation(len(lengths))
    if tokens is None:
        pool = POOL * (size or len(order))
    else:
        pool = max(1, round(POOL * tokens / max(1.0, float(lengths.mean()))))
    batches: list[np.ndarray] = []
    for start in range(0, len(order), pool):
        part = order[start : start + pool]
        part = part[np.argsort(lengths[part], kind="stable")]
        if tokens is not None:
            batches += _cut(part, lengths, tokens)
        else:
            count = size or len(part)
            batches += [part[i : i + count] for i in range(0, len(part), count)]
    return [batches[i] for i in draw.permutation(len(batches))]


def _cut(order: np.ndarray, lengths: np.ndarray, max_tokens: int) -> list[np.ndarray]:
    batches, start, held = [], 0, 0
    for place, length in enumerate(lengths[order].tolist()):
        if place > start and held + length > max_tokens:
            batches.append(order[start:place])
            start, held = place, 0
        held += length
    if start < len(order):
        batches.append(order[start:])
    return batches
