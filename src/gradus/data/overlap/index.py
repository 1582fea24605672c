"""The n-grams of a benchmark, looked for in a corpus that streams by: exact, in constant memory.

Brown et al. (2020), appendix C: an item is dirty if any of its N-grams stands in the training
corpus, and clean otherwise. N is the 5th percentile of the items' lengths in words, at least 8 and
at most 13. Departures, and what the paper leaves open:

- An item shorter than N words has no N-gram and would be clean whatever the corpus holds. Here its
  whole text is looked for, if it has at least 8 words; shorter ones are counted as too short, and
  as clean.
- For cleaning its training data the paper ignores 13-grams that stand in more than ten training
  documents: set phrases, legal text. Here `most_documents` does so for the items, and the number of
  those that are clean only for that reason is counted, since what leaked often looks the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gradus.data.overlap.ngrams import Batch, gram_hashes, word_hashes, words

LEAST, MOST = 8, 13
"""Words of the shortest and of the longest n-gram of Brown et al. (2020)."""

GPT2: Final = 8
"""Words of the n-grams of Radford et al. (2019), section 4."""

MOST_DOCUMENTS: Final = 10
_ALL: Final = np.uint64(2**64 - 1)


class Grams:
    """Distinct n-grams of one size, and in how many documents of the corpus each was found.

    Args:
        codes: int32 [W], all words of a benchmark in a row, as indices into `vocabulary`.
        vocabulary: the words.
        starts: int64 [O], index in `codes` of the first word of every n-gram.
        hashes: uint64 [O], of every n-gram.
        size: words of an n-gram.
        cap: documents are counted up to here.
        mask: bits of the hashes that are used; hits are compared word by word in any case.

    Attributes:
        gram: int64 [O], which of the G distinct n-grams each is.
        documents: int64 [G], in how many documents each was found, `cap` at most.
    """

    def __init__(
        self,
        codes: np.ndarray,
        vocabulary: Sequence[str],
        starts: np.ndarray,
        hashes: np.ndarray,
        size: int,
        *,
        cap: int,
        mask: np.uint64 = _ALL,
    ) -> None:
        self._codes, self._vocabulary = codes, vocabulary
        self.size, self.cap, self._mask = size, cap, mask
        hashes = hashes & mask
        order = np.argsort(hashes, kind="stable")
        new = np.ones(len(order), np.bool_)
        new[1:] = hashes[order[1:]] != hashes[order[:-1]]
        if not self._alike(starts[order], new):
            rows = np.stack([codes[starts + i] for i in range(size)], axis=1)
            _, which = np.unique(rows, axis=0, return_inverse=True)
            which = which.reshape(-1)
            order = np.lexsort((which, hashes))
            new[1:] = (hashes[order[1:]] != hashes[order[:-1]]) | (
                which[order[1:]] != which[order[:-1]]
            )
        self.gram = np.empty(len(order), np.int64)
        self.gram[order] = np.cumsum(new) - 1
        firsts = order[new]
        self._hashes, self._starts = hashes[firsts], starts[firsts]
        self.documents = np.zeros(len(firsts), np.int64)
        self._last = np.full(len(firsts), -1, np.int64)

    def _alike(self, starts: np.ndarray, new: np.ndarray) -> bool:
        """Whether n-grams with equal hashes, in a row, have equal words."""
        same = np.flatnonzero(~new)
        return all(
            np.array_equal(self._codes[starts[same] + i], self._codes[starts[same - 1] + i])
            for i in range(self.size)
        )

    def see(self, batch: Batch) -> None:
        """Count the documents of a batch in which n-grams stand."""
        if not len(self._hashes):
            return
        starts, hashes = batch.grams[self.size]
        hashes = hashes & self._mask
        low = np.searchsorted(self._hashes, hashes)
        hits = np.flatnonzero(self._hashes[np.minimum(low, len(self._hashes) - 1)] == hashes)
        if not len(hits):
            return
        high = np.searchsorted(self._hashes, hashes[hits], side="right")
        open_ = (self.documents[low[hits]] < self.cap) | (high > low[hits] + 1)
        hits, high = hits[open_], high[open_]
        places = zip(hits.tolist(), low[hits].tolist(), high.tolist(), strict=True)
        for hit, first, end in places:
            start = int(starts[hit])
            document = int(batch.documents[start + self.size - 1])
            for row in range(first, end):
                if self.documents[row] >= self.cap or self._last[row] == document:
                    continue
                if self._words(row) == list(batch.words[start : start + self.size]):
                    self.documents[row] += 1
                    self._last[row] = document

    def _words(self, row: int) -> list[str]:
        start = int(self._starts[row])
        return [self._vocabulary[code] for code in self._codes[start : start + self.size]]

    def found(self, most_documents: int | None = None) -> np.ndarray:
        """bool [O]: which n-grams stand in the corpus, in `most_documents` documents at most."""
        there = self.documents > 0
        if most_documents is not None:
            there &= self.documents <= most_documents
        return np.asarray(there[self.gram], np.bool_)


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a corpus holds of a benchmark of N items.

    Attributes:
        n: words of the n-grams that make an item dirty.
        dirty: bool [N].
        frequent: bool [N], clean only since its n-grams are in too many documents.
        short: bool [N], clean since it has too few words to be judged.
        eights: number of its 8-grams, each as often as it stands in the benchmark.
        shared: how many of these stand in the corpus.
    """

    n: int
    dirty: np.ndarray
    frequent: np.ndarray
    short: np.ndarray
    eights: int
    shared: int


class Index:
    """Every n-gram of a benchmark's items that is looked for.

    Args:
        texts: N texts.
        n: words of the n-grams; those of the paper, by the items' lengths, when left out.
        most_documents: n-grams in more documents of the corpus are ignored; None ignores none.
        mask: see `Grams`.

    Attributes:
        n: as above, settled.
        eights: uint64, hashes of all 8-grams, for a filter.
    """

    def __init__(
        self,
        texts: Sequence[str],
        *,
        n: int | None = None,
        most_documents: int | None = MOST_DOCUMENTS,
        mask: np.uint64 = _ALL,
    ) -> None:
        found, self._lengths, self._vocabulary = _coded(texts)
        self._most = most_documents
        self.n = paper_n(self._lengths) if n is None else n
        self._ends = np.cumsum(self._lengths)
        own = np.minimum(self._lengths, self.n)
        # A size above the paper's 13 or below its 8 is asked for on purpose.
        own[own < min(LEAST, self.n)] = 0
        self._own = own
        hashes = word_hashes([self._vocabulary[code] for code in found])
        items = np.repeat(np.arange(len(self._lengths)), self._lengths)
        self._judging: list[tuple[np.ndarray, Grams]] = []
        cap = 1 if most_documents is None else most_documents + 1
        sizes = {int(size) for size in np.unique(own[own > 0])}
        self._eights: Grams | None = None
        self.eights = np.zeros(0, np.uint64)
        for size, values in gram_hashes(hashes, sizes | {GPT2}):
            at = np.arange(len(values))
            inside = items[at] == items[at + size - 1]
            if size in sizes:
                rows = np.flatnonzero(inside & (own[items[at]] == size))
                made = Grams(found, self._vocabulary, rows, values[rows], size, cap=cap, mask=mask)
                self._judging.append((items[rows], made))
            if size == GPT2:
                rows = np.flatnonzero(inside)
                self.eights = values[rows]
                self._eights = Grams(
                    found, self._vocabulary, rows, values[rows], size, cap=1, mask=mask
                )

    @property
    def sizes(self) -> set[int]:
        """Sizes of the n-grams that batches must hold."""
        return {grams.size for _, grams in self._judging} | {GPT2}

    def see(self, batch: Batch) -> None:
        """Look at a batch of the corpus."""
        for _, grams in self._judging:
            grams.see(batch)
        if self._eights is not None:
            self._eights.see(batch)

    def overlap(self) -> Overlap:
        """What was found until now."""
        dirty, anywhere = np.zeros((2, len(self._lengths)), np.bool_)
        for items, grams in self._judging:
            dirty[items[grams.found(self._most)]] = True
            anywhere[items[grams.found()]] = True
        eights = np.zeros(0, np.bool_) if self._eights is None else self._eights.found()
        return Overlap(
            n=self.n,
            dirty=dirty,
            frequent=anywhere & ~dirty,
            short=self._own == 0,
            eights=len(eights),
            shared=int(eights.sum()),
        )


def paper_n(lengths: np.ndarray) -> int:
    """N of Brown et al. (2020), table C.1: the 5th percentile of the lengths, 8 to 13."""
    if not len(lengths):
        return MOST
    return int(np.clip(np.floor(np.percentile(lengths, 5)), LEAST, MOST))


def _coded(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """All words as codes, int32 [W]; how many each text has, int64 [N]; the words by code."""
    codes: dict[str, int] = {}
    flat: list[int] = []
    lengths = []
    for text in texts:
        found = words(text)
        lengths.append(len(found))
        flat += [codes.setdefault(word, len(codes)) for word in found]
    return np.asarray(flat, np.int32), np.asarray(lengths, np.int64), list(codes)
