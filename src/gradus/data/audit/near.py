"""Which texts are nearly the same, by the exact Jaccard similarity of their shingles.

MinHash only proposes pairs; each is then compared exactly, so that no find is a false one.

Two texts are near-duplicates from a similarity of `SIMILAR` on. A text of ten words or more of
which one word in twenty, at least one, is replaced stays above it in 98 of 100 cases (measured on
BANKING77, reviews in Chinese and BBC articles; long articles stay above 0.82).

Legend: N texts, M pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gradus.data.audit.minhash import candidates, once, sketch
from gradus.data.audit.shingles import Shingles, as_text, shingle

SIMILAR: Final = 0.65
BUDGET: Final = 50_000_000  # pairs that may be looked at
MOST_PAIRS: Final = 1_000_000  # pairs that are compared exactly
_SHINGLES: Final = 1 << 21  # that are compared at a time


@dataclass(frozen=True, slots=True)
class Pairs:
    """M pairs of near-duplicates, the most similar first.

    Attributes:
        first: int64 [M], row of one text.
        second: int64 [M], row of the other, above `first`.
        similarity: float64 [M], Jaccard similarity of the two sets of shingles.
        complete: False where there were more pairs than are looked at.
    """

    first: np.ndarray
    second: np.ndarray
    similarity: np.ndarray
    complete: bool = True

    def __len__(self) -> int:
        return len(self.first)

    def where(self, kept: np.ndarray) -> Pairs:
        """The pairs that a mask, bool [M], keeps."""
        return Pairs(self.first[kept], self.second[kept], self.similarity[kept], self.complete)


def near_duplicates(
    texts: Sequence[Any],
    groups: np.ndarray,
    *,
    probes: np.ndarray | None = None,
    threshold: float = SIMILAR,
    budget: int = BUDGET,
) -> Pairs:
    """Pairs of texts whose similarity reaches the threshold.

    Time grows with the number of characters and of pairs that look alike; memory is 256 bytes a
    text. Of buckets with more than 32 texts (a form letter, say) only pairs with a few of each
    group are looked at, which still gives every member a partner in each group.

    Args:
        texts: N texts, or tuples of texts.
        groups: int [N], what a pair may lie across, e.g. the split of each text.
        probes: bool [N], the texts whose partners are looked for among all; left out, every text.
        threshold: least similarity, above 0.3; below it MinHash misses too much.
        budget: how many pairs may be looked at.
    """
    if probes is None:
        probes = np.ones(len(texts), bool)
    proposed, complete = candidates(sketch(texts), groups, probes, threshold, budget)
    if len(proposed) > MOST_PAIRS:
        proposed, complete = proposed[:MOST_PAIRS], False
    similarity = np.concatenate(
        [_compare(texts, proposed[a:b]) for a, b in _portions(texts, proposed)] or [np.zeros(0)]
    )
    kept = similarity >= threshold
    first, second, similarity = proposed[kept, 0], proposed[kept, 1], similarity[kept]
    order = np.lexsort((second, first, -similarity))
    return Pairs(first[order], second[order], similarity[order], complete)


def _portions(texts: Sequence[Any], pairs: np.ndarray) -> Iterator[tuple[int, int]]:
    """Runs of pairs with about two million shingles each."""
    sizes = {row: len(as_text(texts[row])) for row in np.unique(pairs).tolist()}
    begun = size = 0
    for place, (a, b) in enumerate(pairs.tolist()):
        size += sizes[a] + sizes[b]
        if size >= _SHINGLES:
            yield begun, place + 1
            begun, size = place + 1, 0
    if begun < len(pairs):
        yield begun, len(pairs)


def _compare(texts: Sequence[Any], pairs: np.ndarray) -> np.ndarray:
    """float64 [M]: the exact similarity of each pair."""
    rows, places = np.unique(pairs, return_inverse=True)
    sets = _distinct(shingle(texts[row] for row in rows.tolist()))
    places = places.reshape(pairs.shape)
    left, right = _numbered(sets, places[:, 0]), _numbered(sets, places[:, 1])
    both = np.sort(np.concatenate([left, right]))
    shared = both[1:][both[1:] == both[:-1]] >> np.uint64(32)
    common = np.bincount(shared.astype(np.int64), minlength=len(pairs))
    sizes = np.diff(sets.starts)[places].sum(axis=1)
    return np.asarray(common / (sizes - common))


def _distinct(shingles: Shingles) -> Shingles:
    """Each text's shingles once."""
    owners = np.repeat(np.arange(len(shingles.starts) - 1), np.diff(shingles.starts))
    marked = once((owners.astype(np.uint64) << np.uint64(32)) | shingles.hashes)
    counts = np.bincount(
        (marked >> np.uint64(32)).astype(np.int64), minlength=len(shingles.starts) - 1
    )
    starts = np.concatenate([[0], np.cumsum(counts)])
    return Shingles((marked & np.uint64(0xFFFFFFFF)).astype(np.uint32), starts)


def _numbered(sets: Shingles, rows: np.ndarray) -> np.ndarray:
    """uint64: the shingles of `rows`, one row after the other, the place of the row above them."""
    sizes = np.diff(sets.starts)[rows]
    owners = np.repeat(np.arange(len(rows)), sizes)
    offsets = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    hashes = sets.hashes[np.repeat(sets.starts[rows], sizes) + offsets]
    return np.asarray((owners.astype(np.uint64) << np.uint64(32)) | hashes)
