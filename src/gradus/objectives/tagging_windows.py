"""Words to subwords, and long texts to overlapping windows.

Legend: N texts, W words of all texts together, V windows, T tokens of all windows together.

Each word is tokenised with the space before it, if there is one, and with nothing else, so that no
token lies across two words. Where the tokenizer itself parts words (at white space and, in BERT, at
punctuation) the tokens are those of the whole text. What stands between words without being one is
tokenised too: it is context, and never predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import numpy as np

from gradus.errors import CheckpointError
from gradus.objectives.tagging_shapes import SHAPELESS, shapes_of

Words = Sequence[tuple[int, int]]
_PROBES: Final = ("of", "the")
_MOST_KNOWN: Final = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Windowed:
    """V windows over N texts.

    Attributes:
        ids: V lists of token ids, special tokens included.
        shapes: V lists, the shape of the word that each token belongs to.
        text: int64 [V], which text a window is of.
        owned: int64 [V], how many words are predicted from it.
        words: int64 [W], the words in the order of the windows that predict them, numbered through
            all texts.
        first: int64 [W], in that order: each word's first token, counted in its window.
        sizes: int64 [W], in that order: how many tokens it has.
        lengths: int64 [N], words of each text.
        cut: texts that needed more than one window.
        dropped: words for which the tokenizer had no token.
    """

    ids: list[list[int]]
    shapes: list[list[int]]
    text: np.ndarray
    owned: np.ndarray
    words: np.ndarray
    first: np.ndarray
    sizes: np.ndarray
    lengths: np.ndarray
    cut: int
    dropped: int


class WordEncoder:
    """Texts and their words to windows."""

    def __init__(self, tokenizer: Any, *, max_tokens: int, overlap: int, unknown: int) -> None:
        """`tokenizer` is a ``tokenizers.Tokenizer``, which is copied.

        Args:
            tokenizer: makes tokens of words.
            max_tokens: greatest length of a window, special tokens included.
            overlap: tokens that neighbouring windows share, at least, where words allow.
            unknown: the token for a word that the tokenizer drops.

        Raises:
            CheckpointError: special tokens leave no room for a word.
        """
        self._tokenizer = type(tokenizer).from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._unknown = unknown
        self._before, self._after = self._special()
        self._room = max_tokens - len(self._before) - len(self._after)
        if self._room < 1:
            raise CheckpointError(f"max_tokens is {max_tokens}: special tokens leave no room")
        self._overlap = min(overlap, self._room - 1)
        self._space = self._keeps_spaces()
        self._known: dict[str, list[int]] = {}

    @classmethod
    def of(cls, tokenizer: Any, settings: Mapping[str, Any]) -> Self:
        """The encoder that a checkpoint's preprocessing describes."""
        return cls(
            tokenizer,
            max_tokens=int(settings["max_tokens"]),
            overlap=int(settings["overlap"]),
            unknown=int(settings["unknown"]),
        )

    def __call__(self, texts: Sequence[str], words: Sequence[Words]) -> Windowed:
        """The windows of `texts`, whose words are (start, end) in characters, in order."""
        pieces = [self._pieces(text, of) for text, of in zip(texts, words, strict=True)]
        self._learn({piece for row in pieces for piece, _ in row})
        made = _Maker(self._before, self._after)
        for text, of, row in zip(texts, words, pieces, strict=True):
            shapes = iter(shapes_of([text[start:end] for start, end in of]))
            made.add([self._unit(piece, word, shapes) for piece, word in row], self._cuts)
        return made.done()

    def _unit(self, piece: str, word: bool, shapes: Iterator[int]) -> _Unit:
        ids = self._known[piece][: self._room]
        if not word:
            return _Unit(ids, SHAPELESS, False, False)
        return _Unit(ids or [self._unknown], next(shapes), True, not ids)

    def _special(self) -> tuple[list[int], list[int]]:
        """The special tokens before and after a text."""
        bare = self._tokenizer.encode(_PROBES[0], add_special_tokens=False).ids
        whole = self._tokenizer.encode(_PROBES[0]).ids
        for start in range(len(whole) - len(bare) + 1):
            if whole[start : start + len(bare)] == bare:
                return whole[:start], whole[start + len(bare) :]
        raise CheckpointError("the tokenizer gives other tokens where special ones stand around")

    def _keeps_spaces(self) -> bool:
        """Whether a word inside a text has the tokens of the word with a space before it."""
        bare = [self._tokenizer.encode(p, add_special_tokens=False).ids for p in _PROBES]
        whole = self._tokenizer.encode(" ".join(_PROBES), add_special_tokens=False).ids
        return bool(whole != bare[0] + bare[1])

    def _pieces(self, text: str, words: Words) -> list[tuple[str, bool]]:
        """What is tokenised, in order, and whether it is a word."""
        pieces, reached = [], 0
        for start, end in words:
            gap = text[reached:start]
            if gap and not gap.isspace():
                pieces += [(self._spaced(text, reached, gap), False)]
            pieces.append((self._spaced(text, start, text[start:end]), True))
            reached = end
        rest = text[reached:]
        if rest and not rest.isspace():
            pieces.append((self._spaced(text, reached, rest), False))
        return pieces

    def _spaced(self, text: str, start: int, piece: str) -> str:
        stripped = piece.strip()
        parted = stripped != piece[: len(stripped)] or (start > 0 and text[start - 1].isspace())
        return f" {stripped}" if self._space and parted else stripped

    def _learn(self, pieces: set[str]) -> None:
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        fresh = sorted(pieces - self._known.keys())
        coded = self._tokenizer.encode_batch_fast(fresh, add_special_tokens=False)
        self._known.update(zip(fresh, (c.ids for c in coded), strict=True))

    def _cuts(self, sizes: Sequence[int]) -> list[tuple[int, int]]:
        return windows(sizes, self._room, self._overlap)


class _Unit(NamedTuple):
    """Tokens that no window parts."""

    ids: list[int]
    shape: int
    word: bool
    dropped: bool


def windows(sizes: Sequence[int], room: int, overlap: int) -> list[tuple[int, int]]:
    """Stretches (start, end) of units with `sizes` tokens, each of at most `room` tokens.

    They cover all units; neighbours share at least `overlap` tokens where the next unit then still
    fits, and every window reaches further than the one before.
    """
    ends = np.cumsum(np.asarray(sizes, dtype=np.int64))
    reached = np.concatenate([[0], ends])
    found, start = [], 0
    while True:
        end = int(np.searchsorted(reached, reached[start] + room, side="right")) - 1
        found.append((start, end))
        if end >= len(sizes):
            return found
        back = int(np.searchsorted(reached, reached[end] - overlap, side="right")) - 1
        fits = int(np.searchsorted(reached, reached[end + 1] - room, side="left"))
        start = max(back, fits, start + 1)


def owners(sizes: Sequence[int], cuts: Sequence[tuple[int, int]]) -> np.ndarray:
    """int64 [units]: the window in which each unit has most context, the first of equals.

    Context is the lesser of the tokens before and after it in the window; where the window reaches
    the text's beginning or end, nothing is lacking on that side.
    """
    reached = np.concatenate([[0], np.cumsum(np.asarray(sizes, dtype=np.int64))])
    best = np.full(len(sizes), -1, dtype=np.int64)
    found = np.zeros(len(sizes), dtype=np.int64)
    enough = int(reached[-1])
    for number, (start, end) in enumerate(cuts):
        inside = slice(start, end)
        before = reached[start:end] - reached[start] if start else enough
        after = reached[end] - reached[start + 1 : end + 1] if end < len(sizes) else enough
        context = np.minimum(before, after)
        better = context > best[inside]
        found[inside][better] = number
        best[inside][better] = np.broadcast_to(context, better.shape)[better]
    return found


class _Maker:
    """Collects windows text by text."""

    def __init__(self, before: list[int], after: list[int]) -> None:
        self._before, self._after = before, after
        self._ids: list[list[int]] = []
        self._shapes: list[list[int]] = []
        self._text: list[int] = []
        self._owned: list[int] = []
        self._places: list[tuple[int, int, int]] = []  # word, first token, tokens
        self._lengths: list[int] = []
        self._words = self._cut = self._dropped = 0

    def add(
        self, units: Sequence[_Unit], cuts_of: Callable[[Sequence[int]], list[tuple[int, int]]]
    ) -> None:
        """The next text; one without words gets no window."""
        words = sum(unit.word for unit in units)
        self._lengths.append(words)
        self._dropped += sum(unit.dropped for unit in units)
        if not words:
            return
        sizes = [len(unit.ids) for unit in units]
        cuts = cuts_of(sizes)
        self._cut += len(cuts) > 1
        owner = owners(sizes, cuts).tolist() if len(cuts) > 1 else [0] * len(units)
        numbers = (np.cumsum([unit.word for unit in units]) - 1 + self._words).tolist()
        for number, (start, end) in enumerate(cuts):
            self._window([(units[u], numbers[u], owner[u] == number) for u in range(start, end)])
        self._words += words

    def _window(self, units: Sequence[tuple[_Unit, int, bool]]) -> None:
        ids, places = list(self._before), []
        shapes = [SHAPELESS] * len(self._before)
        for unit, number, owned in units:
            if unit.word and owned:
                places.append((number, len(ids), len(unit.ids)))
            ids += unit.ids
            shapes += [unit.shape] * len(unit.ids)
        if not places:
            return
        self._ids.append(ids + self._after)
        self._shapes.append(shapes + [SHAPELESS] * len(self._after))
        self._text.append(len(self._lengths) - 1)
        self._owned.append(len(places))
        self._places += places

    def done(self) -> Windowed:
        """All windows made so far."""
        places = np.array(self._places, dtype=np.int64).reshape(-1, 3)
        return Windowed(
            ids=self._ids,
            shapes=self._shapes,
            text=np.array(self._text, dtype=np.int64),
            owned=np.array(self._owned, dtype=np.int64),
            words=places[:, 0],
            first=places[:, 1],
            sizes=places[:, 2],
            lengths=np.array(self._lengths, dtype=np.int64),
            cut=self._cut,
            dropped=self._dropped,
        )
