"""Spans as tags of words, and the most probable legal sequence of tags.

Legend: N texts, W words of all texts together, K tags, M span types.

A tag says where in a span a word stands. In ``iob2`` (Tjong Kim Sang & Veenstra 1999) a span begins
with B and goes on with I; in ``iobes`` it also ends with E, and a span of one word is S. O stands
outside of all spans.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple, cast

import numpy as np

from gradus.errors import DataError
from gradus.records import Span

Scheme = Literal["iob2", "iobes"]
LETTERS: Final[dict[str, str]] = {"iob2": "BI", "iobes": "BIES"}
OUTSIDE: Final = 0
# Which letters may follow a letter within one span; a span may end after the letters in _LAST.
_INSIDE: Final = {"iob2": {"B": "I", "I": "I"}, "iobes": {"B": "IE", "I": "IE", "E": "", "S": ""}}
_FIRST: Final = {"iob2": "B", "iobes": "BS"}
_LAST: Final = {"iob2": "BI", "iobes": "ES"}


class WordSpan(NamedTuple):
    """The words `first` to `end` (exclusive) of a text are a span of type number `kind`."""

    first: int
    end: int
    kind: int


class Tagset:
    """The K tags of M span types under a scheme: O, then each type's letters.

    Attributes:
        tags: K names, e.g. ``B-PER``.
        follows: bool [K, K], whether the column's tag may follow the row's.
        begins: bool [K], whether a text may begin with the tag.
        ends: bool [K], whether it may end with it.
    """

    def __init__(self, types: Sequence[str], scheme: Scheme) -> None:
        self.types, self.scheme, self.letters = tuple(types), scheme, LETTERS[scheme]
        self.tags = ("O", *(f"{letter}-{t}" for t in self.types for letter in self.letters))
        kinds = np.array([-1, *(m for m in range(len(self.types)) for _ in self.letters)])
        letters = np.array(["O", *(letter for _ in self.types for letter in self.letters)])
        self.begins = np.isin(letters, ["O", *_FIRST[scheme]])
        self.ends = np.isin(letters, ["O", *_LAST[scheme]])
        within = np.array(
            [
                [b in _INSIDE[scheme].get(a, "") if b != "O" else False for b in letters]
                for a in letters
            ]
        )
        self.follows = (self.ends[:, None] & self.begins[None]) | (
            within & (kinds[:, None] == kinds[None])
        )

    def __len__(self) -> int:
        return len(self.tags)

    def encode(self, spans: Sequence[WordSpan], words: int) -> np.ndarray:
        """int64 [words], the tags of a text's words."""
        tags = np.full(words, OUTSIDE, dtype=np.int64)
        width = len(self.letters)
        for first, end, kind in spans:
            base = 1 + kind * width
            tags[first:end] = base + 1
            tags[first] = base
            if self.scheme == "iobes":
                tags[end - 1] = base + (3 if end - first == 1 else 2)
        return tags

    def decode(self, tags: np.ndarray) -> list[WordSpan]:
        """The spans of a legal sequence of tags."""
        width, found = len(self.letters), []
        inside = np.flatnonzero(tags != OUTSIDE)
        starts = inside[np.isin((tags[inside] - 1) % width, self._first())]
        for start in starts.tolist():
            kind, end = (int(tags[start]) - 1) // width, start + 1
            while end < len(tags) and self._goes_on(int(tags[end - 1]), int(tags[end])):
                end += 1
            found.append(WordSpan(start, end, kind))
        return found

    def _first(self) -> list[int]:
        return [self.letters.index(letter) for letter in _FIRST[self.scheme]]

    def _goes_on(self, before: int, tag: int) -> bool:
        return (
            tag != OUTSIDE
            and (tag - 1) % len(self.letters) not in self._first()
            and bool(self.follows[before, tag])
        )


def tagset_of(tags: Sequence[str]) -> Tagset:
    """The tagset that has these tags, in this order.

    Raises:
        DataError: no scheme has.
    """
    types = tuple(dict.fromkeys(tag[2:] for tag in tags if tag != "O"))
    for scheme in LETTERS:
        found = Tagset(types, cast("Scheme", scheme))
        if found.tags == tuple(tags):
            return found
    raise DataError(f"the tags {', '.join(tags[:5])} are of no scheme; known are iob2 and iobes")


def word_spans(
    spans: Sequence[Span],
    words: Sequence[tuple[int, int]],
    kinds: dict[str, int],
) -> list[WordSpan]:
    """Spans of characters as spans of words: every word that shares a character with a span.

    Raises:
        DataError: two spans share a word, or a span holds no word.
    """
    starts = np.array([start for start, _ in words], dtype=np.int64)
    ends = np.array([end for _, end in words], dtype=np.int64)
    found, taken = [], 0
    for span in spans:
        first = int(np.searchsorted(ends, span.start, side="right"))
        end = int(np.searchsorted(starts, span.end, side="left"))
        if end <= first or span.end <= span.start:
            raise DataError(
                f"the span {span.start} to {span.end} ('{span.label}') holds no word of its text"
            )
        if first < taken:
            raise DataError(
                f"the span {span.start} to {span.end} ('{span.label}') shares a word with the one "
                "before it: a word can have one label"
            )
        found.append(WordSpan(first, end, kinds[span.label]))
        taken = end
    return found


def best_sequences(scores: np.ndarray, lengths: np.ndarray, tagset: Tagset) -> np.ndarray:
    """int64 [W]: for each text the legal sequence of tags with the greatest summed score.

    Viterbi's algorithm (1967) over all texts at once. `scores` is float [W, K], e.g. logarithms of
    probabilities, one text after the other; `lengths` int64 [N], words of each.
    """
    found = np.empty(len(scores), dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    for rows in _alike(lengths):
        found_rows = _viterbi(scores, offsets[rows], lengths[rows], tagset)
        for row, tags in zip(rows, found_rows, strict=True):
            found[offsets[row] : offsets[row] + lengths[row]] = tags
    return found


def _alike(lengths: np.ndarray, most: int = 1024) -> Iterator[np.ndarray]:
    """Texts with words, longest first, in parts whose memory is bounded."""
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    for start in range(0, len(order), most):
        yield order[start : start + most]


def _viterbi(
    scores: np.ndarray, offsets: np.ndarray, lengths: np.ndarray, tagset: Tagset
) -> list[np.ndarray]:
    """The best tags of texts that begin at `offsets`, longest first."""
    forbidden = np.where(tagset.follows, 0.0, -np.inf)
    best = scores[offsets] + np.where(tagset.begins, 0.0, -np.inf)
    last = np.empty(len(lengths), dtype=np.int64)
    closing = np.where(tagset.ends, 0.0, -np.inf)
    back: list[np.ndarray] = []
    alive = len(lengths)
    for place in range(1, int(lengths[0]) + 1):
        still = int((lengths > place).sum())
        last[still:alive] = (best[still:alive] + closing).argmax(axis=1)
        alive = still
        if not alive:
            break
        paths = best[:alive, :, None] + forbidden
        back.append(paths.argmax(axis=1))
        best = paths.max(axis=1) + scores[offsets[:alive] + place]
    return [_follow(back, row, int(lengths[row]), int(last[row])) for row in range(len(lengths))]


def _follow(back: list[np.ndarray], row: int, length: int, last: int) -> np.ndarray:
    tags = np.empty(length, dtype=np.int64)
    tags[-1] = last
    for place in range(length - 1, 0, -1):
        tags[place - 1] = back[place - 1][row, tags[place]]
    return tags
