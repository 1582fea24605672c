"""What contexts have in common at their beginning, as a tree of heads.

Legend: N contexts.

A head is computed once for all contexts that begin with it, and a longer head goes on from a
shorter one. Contexts that differ anywhere on the left share nothing on the right of it: keys and
values depend on all that stands before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

# A head costs one more pass over the weights, which is worth about this many tokens.
WORTH = 256


@dataclass(slots=True)
class Branch:
    """A head and the contexts that go on after it.

    Attributes:
        size: tokens of the head, from the beginning of the contexts; 0 for none.
        rows: contexts that go on after this head and after no longer one.
        branches: longer heads that begin with this one.
        example: a context that begins with the head.
    """

    size: int
    example: int = 0
    rows: list[int] = field(default_factory=list)
    branches: list[Branch] = field(default_factory=list)


def heads(contexts: Sequence[np.ndarray], *, worth: int = WORTH) -> Branch:
    """The heads that are worth computing once, as a tree whose root is the empty head.

    `contexts` are N arrays of token ids, int32. A head leaves every context at least its last
    token, and saves at least `worth` tokens: those it has more than the head before it, for all
    contexts but one.
    """
    root = Branch(0)
    order = sorted(range(len(contexts)), key=lambda row: contexts[row].astype(">u4").tobytes())
    alike = np.array(
        [0] + [_common(contexts[a], contexts[b]) for a, b in pairwise(order)],
        dtype=np.int64,
    )
    # alike[i] is what the i-th context in order has in common with the one before it.
    waiting = [(0, len(order), root)]
    while waiting:
        low, high, parent = waiting.pop()
        if high - low == 1:
            parent.rows.append(order[low])
        if high - low < 2:
            continue
        inside = alike[low + 1 : high]
        size = int(inside.min())
        if (high - low - 1) * (size - parent.size) >= worth:
            longer = Branch(size, example=order[low])
            parent.branches.append(longer)
            parent = longer
        cuts = [low, *(low + 1 + np.flatnonzero(inside == size)).tolist(), high]
        waiting += [(a, b, parent) for a, b in pairwise(cuts)]
    return root


def _common(first: np.ndarray, second: np.ndarray) -> int:
    """How many tokens both begin with, the last token of either left aside."""
    size = max(min(len(first), len(second)) - 1, 0)
    differ = np.flatnonzero(first[:size] != second[:size])
    return int(differ[0]) if len(differ) else size
