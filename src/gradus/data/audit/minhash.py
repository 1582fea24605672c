"""MinHash signatures and the buckets in which similar texts meet.

Broder (1997), "On the resemblance and containment of documents": under a random order of all
shingles, two sets have the same least element with a probability that is their Jaccard
similarity. Bands of rows (Indyk and Motwani 1998; Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", chapter 3): with B bands of R rows, a pair of similarity s meets in at least one
with probability 1 - (1 - s^R)^B. With 32 bands of 4 rows that is 0.998 at 0.65, 0.9999 at 0.75
and 0.003 at 0.1.

Legend: N texts, S shingles, P = 128 permutations, B = 32 bands, C candidates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gradus.data.audit.shingles import Shingles, as_text, shingle

BANDS: Final = 32
ROWS: Final = 4
PERMUTATIONS: Final = BANDS * ROWS
SLACK: Final = 0.15  # 3.5 standard errors of a similarity of 0.65 read off P permutations
CROWD: Final = 32  # members of a bucket up to which all its pairs are taken
LEADERS: Final = 8  # of each group, with whom the others of a crowded bucket are paired
_CACHED: Final = 1 << 14  # shingles at a time: what fits in a core's cache
_CHARACTERS: Final = 1 << 22  # of the texts that are shingled at a time
_PAIRS: Final = 1 << 18  # pairs that are compared at a time


@dataclass(frozen=True, slots=True)
class Sketches:
    """What is kept of N texts: 256 bytes each.

    Attributes:
        keys: uint32 [B, N], the bucket of each text in each band.
        low: uint8 [N, P], the lowest byte of each least hash (b-bit minwise hashing, Li and
            König 2010): unequal sets agree in one of 256 by chance.
    """

    keys: np.ndarray
    low: np.ndarray


def sketch(texts: Sequence[Any]) -> Sketches:
    """The sketches of texts, a few megabytes of them at a time."""
    keys = np.empty((BANDS, len(texts)), np.uint32)
    low = np.empty((len(texts), PERMUTATIONS), np.uint8)
    for first, last in batches(texts):
        made = signatures(shingle(texts[first:last]))
        low[first:last] = made.astype(np.uint8)
        mixed = np.zeros((last - first, BANDS), np.uint32)
        for row in range(ROWS):
            mixed ^= made[:, row::ROWS]
            mixed *= np.uint32(0x9E3779B1)
            mixed ^= mixed >> np.uint32(16)
        keys[:, first:last] = mixed.T
    return Sketches(keys, low)


def batches(texts: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Runs of texts with about four million characters each."""
    first = size = 0
    for row, item in enumerate(texts):
        size += len(as_text(item))
        if size >= _CHARACTERS:
            yield first, row + 1
            first, size = row + 1, 0
    if first < len(texts):
        yield first, len(texts)


def signatures(shingles: Shingles) -> np.ndarray:
    """uint32 [N, P]: the least hash of each text under each permutation.

    A permutation of the 32-bit hashes is an exclusive or and a multiplication by an odd number.
    """
    rng = np.random.default_rng(0x6D696E)
    factors = rng.integers(0, 1 << 31, PERMUTATIONS, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    masks = rng.integers(0, 1 << 32, PERMUTATIONS, dtype=np.uint32)
    starts = shingles.starts
    made = np.empty((len(starts) - 1, PERMUTATIONS), np.uint32)
    for first, last in _chunks(starts):
        hashes = shingles.hashes[starts[first] : starts[last]]
        within = starts[first:last] - starts[first]
        buffer = np.empty_like(hashes)
        for p in range(PERMUTATIONS):
            np.bitwise_xor(hashes, masks[p], out=buffer)
            np.multiply(buffer, factors[p], out=buffer)
            made[first:last, p] = np.minimum.reduceat(buffer, within)
    return made


def _chunks(starts: np.ndarray) -> Iterator[tuple[int, int]]:
    """Runs of whole texts with about `_CACHED` shingles each."""
    first, texts = 0, len(starts) - 1
    while first < texts:
        last = int(np.searchsorted(starts, starts[first] + _CACHED, side="right")) - 1
        last = min(max(last, first + 1), texts)
        yield first, last
        first = last


def candidates(
    sketches: Sketches, groups: np.ndarray, probes: np.ndarray, threshold: float, budget: int
) -> tuple[np.ndarray, bool]:
    """Pairs that share a bucket and whose sketches look similar enough to be compared exactly.

    Args:
        sketches: of N texts.
        groups: int [N], e.g. the split of each; crowded buckets keep pairs between all of them.
        probes: bool [N]; a pair needs one text of these.
        threshold: the least similarity that is looked for.
        budget: how many pairs may be looked at.

    Returns:
        int64 [C, 2], first below second, each pair once; and whether the budget sufficed.
    """
    found: list[np.ndarray] = []
    texts = len(groups)
    if not texts:
        return _unpacked(found, texts), True
    for keys in sketches.keys:
        for left, right in _met(keys, groups, probes):
            budget -= len(left)
            if budget < 0:
                return _unpacked(found, texts), False
            alike = np.count_nonzero(sketches.low[left] == sketches.low[right], axis=1)
            chance = 1 / 256
            estimate = (alike / PERMUTATIONS - chance) / (1 - chance)
            kept = estimate >= threshold - SLACK
            least, most = np.minimum(left[kept], right[kept]), np.maximum(left[kept], right[kept])
            found.append(once(least * texts + most))
    return _unpacked(found, texts), True


def _unpacked(found: list[np.ndarray], texts: int) -> np.ndarray:
    codes = once(np.concatenate(found)) if found else np.zeros(0, np.int64)
    return np.stack([codes // max(texts, 1), codes % max(texts, 1)], axis=1)


def once(values: np.ndarray) -> np.ndarray:
    """The values [V] in order, each once; many times faster than `np.unique`, which hashes."""
    values = np.sort(values)
    return values[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else values


def _met(
    keys: np.ndarray, groups: np.ndarray, probes: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of texts in one bucket of a band, some hundred thousand at a time."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(np.append(begins, len(keys)))
    asked = np.add.reduceat(probes[order], begins, dtype=np.int64) > 0
    begins, sizes = begins[asked], sizes[asked]
    for size in np.unique(sizes[(sizes > 1) & (sizes <= CROWD)]):
        one, two = np.triu_indices(int(size), 1)
        step = max(1, _PAIRS // len(one))
        chosen = begins[sizes == size]
        for first in range(0, len(chosen), step):
            members = order[chosen[first : first + step, None] + np.arange(size)]
            left, right = members[:, one].ravel(), members[:, two].ravel()
            kept = probes[left] | probes[right]
            yield left[kept], right[kept]
    for begin, size in zip(begins[sizes > CROWD], sizes[sizes > CROWD], strict=True):
        yield from _crowd(order[begin : begin + size], groups, probes)


def _crowd(
    members: np.ndarray, groups: np.ndarray, probes: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each member of a crowded bucket with the first few of each group."""
    own = groups[members]
    for group in np.unique(own):
        for leader in members[own == group][:LEADERS]:
            others = members[(members != leader) & (probes[members] | probes[leader])]
            yield np.full(len(others), leader), others
