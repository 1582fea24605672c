"""Continuations of one context, merged where they begin alike.

Legend: K continuations, S nodes, R readings, P tokens of the context that are fed, H tokens of a
shared head before them.

A node is a token that has to be fed to the model because a continuation goes on after it: the last
token of a continuation is only read off, so single tokens need no node at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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
        self.places = sorted({reading.node for reading in self.readings})

    @property
    def chain(self) -> bool:
        """Whether each node follows the one before, so that ordinary causal attention is right."""
        return self.parents == list(range(-1, len(self.parents) - 1))

    def visible(self) -> torch.Tensor:
        """bool [S, S], True where a node (row) sees a node (column): itself and its ancestors."""
        seen = torch.eye(len(self.tokens), dtype=torch.bool)
        for node, parent in enumerate(self.parents):
            if parent != CONTEXT_END:
                seen[node] |= seen[parent]
        return seen

    def mask(self, context: int, head: int) -> torch.Tensor:
        """bool [P + S, H + P + S], True where a fed token sees a key."""
        fed = context + len(self.tokens)
        seen = torch.ones(fed, fed, dtype=torch.bool).tril()
        seen[context:, context:] = self.visible()
        return torch.cat([torch.ones(fed, head, dtype=torch.bool), seen], dim=1)
