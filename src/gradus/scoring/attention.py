"""Attention for scoring: contexts end to end, a head before all of them, trees after each.

Legend: T tokens of a row, h heads, k size of a head, H tokens of the shared head; a run holds n
sequences of L fed tokens that see one another in the same way.

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
class Run:
    """n sequences of equal shape.

    Attributes:
        n: how many.
        length: L.
        positions: int64 [L], places in the sequence, the head counted.
        mask: bool [L, H + L], True where a token sees a key; None for causal without a head.
    """

    n: int
    length: int
    positions: torch.Tensor
    mask: torch.Tensor | None


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
    row = _current[-1]
    if row.keep is not None:
        row.keep[id(module)] = (key, value)
    head = row.head.get(id(module))
    heads, size = query.shape[1], query.shape[3]
    out, start = [], 0
    for run in row.runs:
        part = slice(start, start + run.n * run.length)
        start = part.stop
        q, k, v = (
            x[0, :, part].reshape(x.shape[1], run.n, run.length, size).transpose(0, 1)
            for x in (query, key, value)
        )
        if head is not None:
            k, v = (
                torch.cat([kept.expand(run.n, -1, -1, -1), new], dim=2)
                for kept, new in zip(head, (k, v), strict=True)
            )
        mask = _windowed(run, sliding_window, k.shape[2])
        y = scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            is_causal=mask is None,
            scale=scaling,
            enable_gqa=k.shape[1] != heads,
        )
        out.append(y.transpose(1, 2).reshape(run.n * run.length, heads, size))
    return (out[0] if len(out) == 1 else torch.cat(out))[None], None


def _windowed(run: Run, window: int | None, keys: int) -> torch.Tensor | None:
    """The run's mask, narrowed to a sliding window where the model has one that is shorter."""
    if window is None or int(run.positions.max()) < window:
        return run.mask
    seen = run.mask
    if seen is None:
        seen = torch.ones(run.length, keys, dtype=torch.bool).tril()
    places = torch.cat([torch.arange(keys - run.length), run.positions])
    return seen & (run.positions[:, None] - places[None] < window)
