"""Attention for scoring: contexts end to end, a head before all of them, trees after each.

Legend: T tokens of a row, h heads, k size of a head, H tokens of the shared head; a run holds n
sequences of L fed tokens that see one another in the same way, P of a context and S of its tree.

Keys are kept as the model hands them over, positions already turned in, so a head that is kept is
the key-value cache of the same tokens in the same place: nothing about it is approximate.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

ATTENTION = "gradus_scoring"

KeysValues = dict[int, tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, slots=True)
class Part:
    """Queries `start` to `stop` of a sequence, which see its first keys.

    Attributes:
        start: first query, of the sequence's fed tokens.
        stop: the one after the last, and with the head the number of keys.
        mask: bool [stop - start, H + stop], True where a token sees a key; None where all are
            causal, without a head.
    """

    start: int
    stop: int
    mask: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class Run:
    """n sequences of equal shape.

    Attributes:
        n: how many.
        length: L.
        positions: int64 [L], places in the sequence, the head counted.
        parts: their queries, in order.
    """

    n: int
    length: int
    positions: torch.Tensor
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, n: int, context: int, head: int, depths: list[int], tree: torch.Tensor) -> Run:
        """Sequences with a context of P = `context` tokens after a head of `head`.

        `depths` are the S distances of a tree's tokens from the context's end; `tree` is bool
        [S, S], which of them see one another, or empty where each follows the one before.
        """
        chained = not tree.numel()
        plain = context + (len(depths) if chained else 0)
        places = torch.cat([torch.arange(context), context + torch.tensor(depths).long()])
        causal = None
        if head:
            causal = torch.ones(plain, head + plain, dtype=torch.bool).tril(head)
        parts = [Part(0, plain, causal)]
        if not chained:
            before = torch.ones(len(depths), head + context, dtype=torch.bool)
            parts.append(Part(context, context + len(depths), torch.cat([before, tree], dim=1)))
        return cls(n, context + len(depths), head + places, tuple(parts))


@dataclass(frozen=True, slots=True)
class Row:
    """What attention must know about the row that is under way.

    Attributes:
        runs: they lie end to end.
        head: keys and values [1, h, H, k] by layer, before every sequence; empty for none.
        keep: where to put the keys and values of this row, if they shall be a head later.
    """

    runs: tuple[Run, ...]
    head: KeysValues = field(default_factory=dict)
    keep: KeysValues | None = None


# Attention is called deep inside the model, which hands nothing of ours through.
_current: list[Row] = []


@contextmanager
def under_way(row: Row) -> Iterator[None]:
    """Attention inside the block follows `row`."""
    _current.append(row)
    try:
        yield
    finally:
        _current.pop()


def register() -> None:
    """Make the attention known to transformers under the name `ATTENTION`."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, scoring_attention)


def scoring_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention over a row, with the signature that transformers calls.

    query is [1, h, T, k], key and value [1, h or fewer, T, k]; returns [1, T, h, k].

    Raises:
        ValueError: the model asks for a mask of its own or a soft cap.
    """
    if attention_mask is not None or softcap is not None:
        raise ValueError("attention for scoring takes neither masks nor soft caps")
    found = _seen(_current[-1], id(module), query, key, value, scaling, sliding_window)
    return found[None], None


@dataclass(frozen=True, slots=True)
class RowAttention:
    """The same for a decoder of `gradus.generation`, which hands the row through.

    Attributes:
        row: what is under way.
        scale: what scores are multiplied by.
        slots: positions are below it.
    """

    row: Row
    scale: float
    slots: int
    every: bool = True

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """[T, h k], from query [1, T, h, k], key and value [1, T, h or fewer, k]; no `mask`."""
        q, k, v = (x.transpose(1, 2) for x in (query, key, value))
        return _seen(self.row, layer, q, k, v, self.scale, None).flatten(1)


def _seen(
    row: Row,
    layer: int,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
    sliding_window: int | None,
) -> torch.Tensor:
    """[T, h, k], what the tokens of a row see; keeps keys and values where the row wants them."""
    if row.keep is not None:
        row.keep[layer] = (key, value)
    head = row.head.get(layer)
    before = 0 if head is None else head[0].shape[2]
    heads, size = query.shape[1], query.shape[3]
    out, start = [], 0
    for run in row.runs:
        here = slice(start, start + run.n * run.length)
        start = here.stop
        q, k, v = (
            x[0, :, here].reshape(x.shape[1], run.n, run.length, size).transpose(0, 1)
            for x in (query, key, value)
        )
        if head is not None:
            k, v = (
                torch.cat([kept.expand(run.n, -1, -1, -1), new], dim=2)
                for kept, new in zip(head, (k, v), strict=True)
            )
        found = []
        for part in run.parts:
            mask = _windowed(run, part, sliding_window, before)
            y = scaled_dot_product_attention(
                q[:, :, part.start : part.stop],
                k[:, :, : before + part.stop],
                v[:, :, : before + part.stop],
                attn_mask=mask,
                is_causal=mask is None,
                scale=scaling,
                enable_gqa=k.shape[1] != heads,
            )
            found.append(y.transpose(1, 2))
        y = found[0] if len(found) == 1 else torch.cat(found, dim=1)
        out.append(y.reshape(run.n * run.length, heads, size))
    return out[0] if len(out) == 1 else torch.cat(out)


def _windowed(run: Run, part: Part, window: int | None, head: int) -> torch.Tensor | None:
    """The part's mask, narrowed to a sliding window where the model has one that is shorter."""
    if window is None or int(run.positions.max()) < window:
        return part.mask
    seen = part.mask
    if seen is None:
        seen = torch.ones(part.stop, part.stop, dtype=torch.bool).tril()
    places = torch.cat([torch.arange(head), run.positions[: part.stop]])
    return seen & (run.positions[part.start : part.stop, None] - places[None] < window)
