"""Continuations of one context, merged where they begin alike.

Legend: K continuations, S nodes, R readings, P tokens of the context that are fed, H tokens of a
shared head before them.

A node is a token that has to be fed to the model because a continuation goes on after it: the last
token of a continuation is only read off, so single tokens need no node at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

CONTEXT_END = -1


class Reading(NamedTuple):
    """`token` after `node` (or after the context, `CONTEXT_END`) belongs to `option`."""

    node: int
    token: int
    option: int


class ContinuationTree:
    """What to feed after a context, what each fed token may see, and what to read off where.

    Attributes:
        options: K continuations, token ids.
        tokens: S fed tokens, parents before children.
        parents: S parents; `CONTEXT_END` for a child of the context.
        depths: S distances from the context's end, from 0.
        readings: R readings, those of one option in the order of its tokens.
        places: the distinct nodes at which something is read, ascending.
        read_at: int64 [R], which of `places` each reading is made at.
        read_tokens: int64 [R], what is read there.
        read_for: int64 [R], the option that it belongs to.
    """

    def __init__(self, options: Sequence[Sequence[int]]) -> None:
        """Build the tree of `options`, of at least one token each."""
        self.options = tuple(tuple(option) for option in options)
        nodes: dict[tuple[int, int], int] = {}
        self.tokens: list[int] = []
        self.parents: list[int] = []
        self.depths: list[int] = []
        self.readings: list[Reading] = []
        for number, option in enumerate(self.options):
            node = CONTEXT_END
            for depth, token in enumerate(option):
                self.readings.append(Reading(node, token, number))
                if depth + 1 == len(option):
                    break
                if (node, token) not in nodes:
                    nodes[node, token] = len(self.tokens)
                    self.tokens.append(token)
                    self.parents.append(node)
                    self.depths.append(depth)
                node = nodes[node, token]
        nodes_read = np.array([reading.node for reading in self.readings], dtype=np.int64)
        places, self.read_at = np.unique(nodes_read, return_inverse=True)
        self.places: list[int] = places.tolist()
        self.read_tokens = np.array([r.token for r in self.readings], dtype=np.int64)
        self.read_for = np.array([r.option for r in self.readings], dtype=np.int64)

    @cached_property
    def chain(self) -> bool:
        """Whether each node follows the one before, so that ordinary causal attention is right."""
        return self.parents == list(range(-1, len(self.parents) - 1))

    @cached_property
    def visible(self) -> torch.Tensor:
        """bool [S, S], True where a node (row) sees a node (column): itself and its ancestors."""
        seen = torch.eye(len(self.tokens), dtype=torch.bool)
        for node, parent in enumerate(self.parents):
            if parent != CONTEXT_END:
                seen[node] |= seen[parent]
        return seen

    @property
    def firsts(self) -> np.ndarray:
        """bool [R], True for the first token of each continuation."""
        return np.array([r.node == CONTEXT_END for r in self.readings], dtype=np.bool_)

    def branch(self, node: int) -> list[int]:
        """The tokens from the context's end to a node; none for `CONTEXT_END`."""
        found: list[int] = []
        while node != CONTEXT_END:
            found.insert(0, self.tokens[node])
            node = self.parents[node]
        return found

    def sums(self, nats: np.ndarray) -> np.ndarray:
        """float64 [K], the sum over each continuation of `nats`, float64 [R]."""
        return np.bincount(self.read_for, nats, minlength=len(self.options))

    def all(self, flags: np.ndarray) -> np.ndarray:
        """bool [K], whether all of `flags`, bool [R], hold in each continuation."""
        missed = np.bincount(self.read_for, ~flags, minlength=len(self.options))
        found: np.ndarray = missed == 0
        return found
