"""Keys and values of every token so far, in memory that is allocated once.

Legend: B rows, T new tokens of a row, S slots, H heads, K key-value heads, G = H / K, k size of a
head.

A row's slots are ``[prefix | padding | the rest of the prompt | what is written]``: rows of
different length end at the same slot, so that every step writes one slot of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True, slots=True)
class Shape:
    """What a family's attention is like.

    Attributes:
        layers: how many.
        heads: H.
        shared: K.
        size: k.
        scale: what scores are multiplied by.
    """

    layers: int
    heads: int
    shared: int
    size: int
    scale: float


class Cache:
    """Keys and values [B, K, S, k] of every layer.

    Attributes:
        shape: of the attention.
        rows: B, the rows in use.
        slots: S.
        end: slots that are filled.
        seen: bool [B, S], False where a row has padding; None where no row has any.
        every: whether hidden states of all tokens are wanted; who writes needs the last alone.
    """

    every: bool = False

    def __init__(self, shape: Shape, dtype: torch.dtype) -> None:
        """An empty one; `begin` makes room."""
        self.shape, self.dtype = shape, dtype
        self.rows = self.end = self.slots = 0
        self.seen: torch.Tensor | None = None
        self._held = torch.empty(0, dtype=dtype)
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []

    def begin(self, rows: int, slots: int) -> None:
        """Empty the cache and make room; memory is kept from batch to batch."""
        shape = self.shape
        size = 2 * shape.layers * rows * shape.shared * slots * shape.size
        if self._held.numel() < size:
            self._held = torch.empty(size, dtype=self.dtype)
        parts = self._held[:size].view(2, shape.layers, rows, shape.shared, slots, shape.size)
        self._keys, self._values = list(parts[0]), list(parts[1])
        self.rows, self.slots, self.end, self.seen = rows, slots, 0, None

    def part(self, low: int, high: int) -> Self:
        """The rows from `low` to `high` (exclusive) as a cache of their own, in the same memory."""
        found = type(self)(self.shape, self.dtype)
        found._keys = [one[low:high] for one in self._keys]
        found._values = [one[low:high] for one in self._values]
        found.rows, found.slots, found.end = len(found._keys[0]), self.slots, self.end
        found.seen = None if self.seen is None else self.seen[low:high]
        return found

    def follow(self, other: Cache, size: int) -> None:
        """Begin every row with the first `size` slots of the other's first row."""
        mine, theirs = (*self._keys, *self._values), (*other._keys, *other._values)
        for part, held in zip(mine, theirs, strict=True):
            part[:, :, :size] = held[:1, :, :size]
        self.end = size

    def spread(self) -> None:
        """Give every row what the first has: a prefix that all share."""
        for part in (*self._keys, *self._values):
            part[1:, :, : self.end] = part[:1, :, : self.end]

    def keep(self, rows: list[int]) -> None:
        """Go on with these rows alone, in their order; a row that stands in its place isn't moved.

        `rows` must rise.
        """
        for place, row in enumerate(rows):
            if place != row:
                for part in (*self._keys, *self._values):
                    part[place, :, : self.end] = part[row, :, : self.end]
        self.rows = len(rows)
        self._keys = [part[: self.rows] for part in self._keys]
        self._values = [part[: self.rows] for part in self._values]
        if self.seen is not None:
            self.seen = self.seen[rows]

    def take(self, rows: list[int]) -> None:
        """Go on with what `rows` hold, one for each row in use; a row may stand there twice."""
        if rows == list(range(self.rows)):
            return
        for part in (*self._keys, *self._values):
            # The right side is a copy before anything is overwritten.
            part[:, :, : self.end] = part[rows, :, : self.end]
        if self.seen is not None:
            self.seen = self.seen[rows]

    def mask(self, new: int) -> torch.Tensor | None:
        """What is added to the scores of T new tokens: [B or 1, 1, T, end + T], 0 or -inf.

        None where plain causal attention says it: a single token, or no token before the new ones.
        A new token always sees itself, padding too: it would else see nothing, which is no number.
        """
        if self.seen is None and (new == 1 or self.end == 0):
            return None
        width = self.end + new
        seen = torch.ones(1, new, width, dtype=torch.bool).tril(self.end)
        if self.seen is not None:
            seen = seen & self.seen[:, None, :width]
            seen.diagonal(self.end, 1, 2).fill_(True)
        found = torch.zeros(seen.shape, dtype=self.dtype).masked_fill_(~seen, float("-inf"))
        return found[:, None]

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """[B T, H k], what T new tokens see in all slots; keeps their keys and values.

        query is [B, T, H, k], key and value [B, T, K, k]; `mask` is that of `mask`.
        """
        rows, new, heads, size = query.shape
        if new == 1:
            return self.attend_one(layer, query[:, 0], key[:, 0], value[:, 0], mask)
        shared, end = self.shape.shared, self.end + new
        keys, values = self._keys[layer], self._values[layer]
        keys[:, :, self.end : end] = key.transpose(1, 2)
        values[:, :, self.end : end] = value.transpose(1, 2)
        many = scaled_dot_product_attention(
            query.transpose(1, 2),
            keys[:, :, :end],
            values[:, :, :end],
            attn_mask=mask,
            is_causal=mask is None,
            scale=self.shape.scale,
            enable_gqa=heads != shared,
        )
        return many.transpose(1, 2).reshape(rows * new, heads * size)

    def attend_one(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """[B, H k], as `attend`, for one new token a row: query [B, H, k], key and value [B, K, k].

        A step of writing takes it once a layer, so it makes no detours.
        """
        rows, heads, size = query.shape
        shared, end = self.shape.shared, self.end + 1
        keys, values = self._keys[layer], self._values[layer]
        keys[:, :, self.end] = key
        values[:, :, self.end] = value
        # The G heads that share keys stand where T would: nothing is repeated.
        one = scaled_dot_product_attention(
            query.view(rows, shared, heads // shared, size),
            keys[:, :, :end],
            values[:, :, :end],
            attn_mask=mask,
            scale=self.shape.scale,
        )
        return one.reshape(rows, heads * size)
