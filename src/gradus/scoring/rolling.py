"""Texts in windows, and the windows' log-likelihoods added up again.

Legend: N texts, W windows, R scored tokens of a window.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradus.errors import UsageError
from gradus.scoring.records import Progress, Rolled
from gradus.scoring.seam import encode_bare, encode_with_ends, leading_tokens, prefix_token
from gradus.scoring.windows import windows


class Piece(NamedTuple):
    """One window.

    Attributes:
        text: which text it is of.
        context: token ids that are only fed.
        continuation: R token ids that are scored.
        parts: int64 [R], the stretch of the text that each belongs to; they don't fall.
        last: whether no other window of that text comes after it.
        key: what it is called in a journal.
    """

    text: int
    context: tuple[int, ...]
    continuation: tuple[int, ...]
    parts: np.ndarray
    last: bool
    key: str = ""

    @property
    def digest(self) -> list[Any]:
        """What its answer depends on beside the model, as JSON."""
        ids = np.array([*self.context, *self.continuation], dtype=np.int64)
        cuts = np.flatnonzero(np.diff(self.parts, prepend=self.parts[:1])).tolist()
        return [hashlib.sha256(ids.tobytes()).hexdigest(), len(self.continuation), cuts]


class Stretches:
    """Sums of log-likelihoods by text and stretch."""

    def __init__(
        self, texts: Sequence[str], ends: Sequence[Sequence[int]], progress: Progress | None
    ) -> None:
        """All sums are 0.

        Raises:
            UsageError: the ends of a text don't rise to its length.
        """
        if len(texts) != len(ends):
            raise UsageError(f"{len(texts):,} texts and the ends of {len(ends):,}")
        for number, (text, cuts) in enumerate(zip(texts, ends, strict=True)):
            if not cuts or cuts[-1] != len(text) or list(cuts) != sorted(set(cuts)):
                raise UsageError(
                    f"text {number}: its stretches must end at rising offsets, the last at "
                    f"{len(text):,}"
                )
        self._nats = [np.zeros(len(cuts)) for cuts in ends]
        self._tokens = [np.zeros(len(cuts), dtype=np.int64) for cuts in ends]
        self._left = [0] * len(texts)
        self._whole = [False] * len(texts)
        self._done, self._progress = 0, progress

    def announced(self, cut: Iterable[Piece | int]) -> Iterator[Piece]:
        """The windows of `cut`, counted; a number there is a text without any."""
        for piece in cut:
            if isinstance(piece, int):
                self._finish()
                continue
            self._left[piece.text] += 1
            self._whole[piece.text] = piece.last
            yield piece

    def add(self, piece: Piece, sums: np.ndarray) -> None:
        """Take the sums of a window's stretches, float64, from that of its first token on."""
        first = int(piece.parts[0])
        self._nats[piece.text][first : first + len(sums)] += sums
        counts = np.bincount(piece.parts)
        self._tokens[piece.text][: len(counts)] += counts
        self._left[piece.text] -= 1
        if self._whole[piece.text] and not self._left[piece.text]:
            self._finish()

    def _finish(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done)

    def answers(self) -> list[list[Rolled]]:
        """For each text one answer a stretch."""
        return [
            [Rolled(float(n), int(t)) for n, t in zip(nats, tokens, strict=True)]
            for nats, tokens in zip(self._nats, self._tokens, strict=True)
        ]


def pieces(
    tokenizer: Any,
    texts: Sequence[str],
    ends: Sequence[Sequence[int]],
    window: int,
    stride: int,
    bos: bool,
) -> Iterator[Piece | int]:
    """The windows of every text, one text after the other; its number for one that has none.

    Raises:
        UsageError: the tokenizer has nothing to begin a text with, or window and stride don't fit.
    """
    before = leading_tokens(tokenizer)
    if bos and not before:
        first = prefix_token(tokenizer)
        if first is None:
            raise UsageError(
                "the tokenizer knows neither a begin nor an end of text to begin a text with: "
                "roll without bos"
            )
        before = [first]
    for number, text in enumerate(texts):
        ids, parts = _encoded(tokenizer, text, ends[number])
        whole = np.concatenate([np.array(before, dtype=np.int64), ids])
        parts = np.concatenate([np.zeros(len(before), dtype=np.int64), parts])
        found = list(windows(len(whole), window, stride, after_bos=bos))
        if not found:
            yield number
        for place, (start, first_scored, stop) in enumerate(found):
            yield Piece(
                number,
                tuple(whole[start:first_scored].tolist()),
                tuple(whole[first_scored:stop].tolist()),
                parts[first_scored:stop],
                place + 1 == len(found),
            )


def _encoded(tokenizer: Any, text: str, ends: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and the stretch of each, int64 [T]."""
    if len(ends) == 1:
        (row,) = encode_bare(tokenizer, [text])
        ids = np.array(row, dtype=np.int64)
        return ids, np.zeros(len(ids), dtype=np.int64)
    ids, stops = encode_with_ends(tokenizer, text)
    return ids, np.searchsorted(np.array(ends), np.maximum(stops, 1) - 1, side="right")


def stretches(places: Sequence[int], weights: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    """`places` in order, in parts whose `weights` add up to `most` or less, or of one place."""
    start, held = 0, 0
    for number, weight in enumerate(weights):
        if number > start and held + weight > most:
            yield places[start:number]
            start, held = number, 0
        held += weight
    if start < len(places):
        yield places[start:]
