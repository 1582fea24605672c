"""Suffix arrays of bytes, and the longest stretch that a query has in common with a text.

Suffixes are sorted by prefix doubling (Manber and Myers 1993), of which the first three rounds are
one: eight bytes make one 64-bit number. Each further round sorts only suffixes that aren't told
apart yet, so that common prose takes about as long as three sorts of its bytes. A query is looked
up eight bytes at a time, all its positions at once, by binary search.

Legend: B bytes of a text, Q bytes of a query, P positions in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

_STEP: Final = 8


def first_bytes(text: np.ndarray) -> np.ndarray:
    """uint64 [B + 1]: eight bytes from each place on as one number, most significant first.

    Behind the end of `text` (uint8 [B]) stand zeros.
    """
    padded = np.zeros(len(text) + _STEP, np.uint8)
    padded[: len(text)] = text
    found = np.zeros(len(text) + 1, np.uint64)
    for place in range(_STEP):
        found <<= np.uint64(8)
        found |= padded[place : place + len(found)]
    return found


def suffix_array(text: np.ndarray) -> np.ndarray:
    """int32 [B]: where the suffixes of `text` begin, in the order of their bytes.

    Where one suffix begins another, zeros count as standing behind the shorter one, so a text
    whose last byte doesn't decide that (zero) has no certain order. Memory is some 65 B bytes.

    Args:
        text: uint8 [B], fewer than 2**31 bytes.
    """
    keys = first_bytes(text)[:-1]
    order = np.argsort(keys)
    starts = _starts(keys[order])
    del keys
    rank = np.zeros(len(text) + 1, np.int64)  # 0 is behind the end
    rank[order] = starts + 1
    depth = _STEP
    # A suffix is told apart when the groups before and behind it begin right beside it.
    open_ = np.flatnonzero(_shared(starts))
    del starts
    while len(open_):
        suffixes = order[open_]
        behind = np.minimum(suffixes + depth, len(text))
        pairs = (rank[suffixes] << 32) | rank[behind]
        sorted_ = np.argsort(pairs)
        suffixes, pairs = suffixes[sorted_], pairs[sorted_]
        order[open_] = suffixes
        firsts = _starts(pairs)
        rank[suffixes] = open_[firsts] + 1
        open_ = open_[_shared(firsts)]
        depth *= 2
    return order.astype(np.int32)


def _starts(ordered: np.ndarray) -> np.ndarray:
    """For each of some ordered values the index of the first one that equals it."""
    new = np.ones(len(ordered), np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    return np.maximum.accumulate(np.where(new, np.arange(len(ordered)), 0))


def _shared(starts: np.ndarray) -> np.ndarray:
    """Which values aren't alone, by what `_starts` gives."""
    alike = np.zeros(len(starts), np.bool_)
    same = starts[1:] == starts[:-1]
    alike[1:] |= same
    alike[:-1] |= same
    return alike


def matched_bytes(
    text: np.ndarray, suffixes: np.ndarray, query: np.ndarray, places: np.ndarray
) -> np.ndarray:
    """int64 [P]: how many bytes of the query, from each place on, stand somewhere in the text.

    Args:
        text: uint8 [B].
        suffixes: int32 [B], its suffix array.
        query: uint8 [Q]; every stretch that may match ends before a byte that isn't in the text.
        places: int64 [P].
    """
    keys, wanted = first_bytes(text), first_bytes(query)
    found = np.zeros(len(places), np.int64)
    alive = np.arange(len(places) if len(text) else 0)
    low, high = np.zeros(len(alive), np.int64), np.full(len(alive), len(text), np.int64)
    depth = 0
    while len(alive):
        want = wanted[places[alive] + depth]

        def at(rank: np.ndarray, depth: int = depth) -> np.ndarray:
            suffix = suffixes.take(rank, mode="clip").astype(np.int64)
            return np.asarray(keys.take(suffix + depth, mode="clip"))

        first = _bound(at, low, high, want, after=False)
        last = _bound(at, first, high, want, after=True)
        ends = np.flatnonzero(first == last)
        if len(ends):
            here, mine = first[ends], want[ends]
            before = np.where(here > low[ends], _alike(at(here - 1), mine), 0)
            after = np.where(here < high[ends], _alike(at(here), mine), 0)
            found[alive[ends]] = depth + np.maximum(before, after)
        on = np.flatnonzero(first < last)
        alive, low, high = alive[on], first[on], last[on]
        depth += _STEP
    return found


def _bound(
    read: Callable[[np.ndarray], np.ndarray],
    low: np.ndarray,
    high: np.ndarray,
    want: np.ndarray,
    *,
    after: bool,
) -> np.ndarray:
    """For each row the first rank in [low, high) whose key isn't below what is wanted, else high.

    With `after` the first whose key is above it.
    """
    low, high = low.copy(), high.copy()
    rows = np.flatnonzero(low < high)
    while len(rows):
        middle = (low[rows] + high[rows]) // 2
        keys = read(middle)
        on = keys <= want[rows] if after else keys < want[rows]
        low[rows[on]] = middle[on] + 1
        high[rows[~on]] = middle[~on]
        rows = rows[low[rows] < high[rows]]
    return low


def _alike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How many leading bytes two numbers of eight bytes have in common."""
    differ = one ^ other
    equal = [differ >> np.uint64(64 - 8 * n) == 0 for n in range(1, _STEP + 1)]
    return np.asarray(np.sum(equal, axis=0))
