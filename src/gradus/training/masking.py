"""Which tokens a masked language model has to fill in.

Devlin et al. 2019 (section 3.1): of 15 % of the tokens, 80 % become the mask, 10 % another token,
and 10 % stay what they are. What is chosen are tokens, whole words (BERT's release of May 2019) or
spans of words (SpanBERT, Joshi et al. 2020, section 3.1).

Legend: n tokens of a text, V vocabulary.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from gradus.errors import TrainingError

Unit = Literal["token", "word", "span"]

SHARE: Final = 0.15
MASKED, REPLACED = 0.8, 0.1
SPAN_P: Final = 0.2
"""Of the geometric distribution of a span's length in words, none above `LONGEST`: 3.8 on
average."""
LONGEST: Final = 10
_UP_TO: Final = (1 - (1 - SPAN_P) ** np.arange(1, LONGEST + 1)) / (1 - (1 - SPAN_P) ** LONGEST)
_HAN: Final = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL")


@dataclass(frozen=True, slots=True)
class Words:
    """Where words begin, told by token; arrays are bool [V].

    Attributes:
        glued: the token never begins a word (``##ing``, the middle of a character).
        joins: it goes on with a word if the token before ends inside one.
        open: a word may go on after it.
    """

    glued: np.ndarray
    joins: np.ndarray
    open: np.ndarray

    @classmethod
    def of(cls, tokenizer: Any) -> Words:
        """For a fast tokenizer of transformers.

        Letters and digits that follow one another are a word; a Chinese character, a kana or a
        syllable of Hangul is a word of its own; so is each other sign.
        """
        names = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        read = _reader(tokenizer)
        told = np.array([read(str(name)) for name in names], dtype=np.bool_).reshape(-1, 3)
        for number in tokenizer.all_special_ids:
            told[number] = False
        return cls(*(np.ascontiguousarray(column) for column in told.T))

    def starts(self, ids: np.ndarray) -> np.ndarray:
        """bool [n], where a word begins."""
        within = self.glued[ids].copy()
        within[1:] |= self.joins[ids[1:]] & self.open[ids[:-1]]
        if len(within):
            within[0] = False
        begins: np.ndarray = ~within
        return begins


def _reader(tokenizer: Any) -> Any:
    """What tells (glued, joins, open) of a token's name."""
    raw = json.loads(tokenizer.backend_tokenizer.to_str())
    if raw["model"].get("type") == "WordPiece":
        prefix = str(raw["model"].get("continuing_subword_prefix") or "##")
        return lambda name: (name.startswith(prefix), False, False)
    if "ByteLevel" in json.dumps([raw.get("pre_tokenizer"), raw.get("decoder")]):
        alphabet = {char: byte for byte, char in _byte_characters()}
        return lambda name: _of_bytes(bytes(alphabet.get(char, 0x20) for char in name))
    return lambda name: _of_text(name.replace("\u2581", " "))


def _byte_characters() -> Iterator[tuple[int, str]]:
    """The character that stands for each byte in byte-level vocabularies (Radford et al. 2019):
    printable ones for themselves, the rest from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = 0x100
    for byte in range(256):
        if byte in printable:
            yield byte, chr(byte)
        else:
            yield byte, chr(spare)
            spare += 1


def _of_bytes(raw: bytes) -> tuple[bool, bool, bool]:
    """As of text, where a token may begin or end inside a character.

    Characters of two bytes are taken for letters, as nearly all of them are; longer ones that
    aren't whole for Chinese ones or their like.
    """
    text = raw.decode(errors="ignore")
    if raw and 0x80 <= raw[0] < 0xC0:
        # The rest of a character: whatever word that is in goes on.
        return True, False, _in_word(text[-1]) if text else True
    if raw and not text:
        return False, raw[0] < 0xE0, raw[0] < 0xE0
    return _of_text(text)


def _of_text(text: str) -> tuple[bool, bool, bool]:
    return False, bool(text) and _in_word(text[0]), bool(text) and _in_word(text[-1])


def _in_word(char: str) -> bool:
    """Whether letters beside this one belong to its word."""
    return char.isalnum() and not unicodedata.name(char, "").startswith(_HAN)


@dataclass(frozen=True, slots=True)
class Masking:
    """How tokens are chosen and hidden.

    Attributes:
        share: of the tokens that aren't special, to be filled in.
        unit: what is chosen at a time.
        mask: the mask's id.
        special: bool [V], tokens that are never chosen nor put in another's place.
        words: where words begin; not needed for single tokens.
    """

    share: float
    unit: Unit
    mask: int
    special: np.ndarray
    words: Words | None = None

    @classmethod
    def of(cls, tokenizer: Any, *, share: float = SHARE, unit: Unit = "token") -> Masking:
        """For a fast tokenizer of transformers.

        Raises:
            TrainingError: it has no mask.
        """
        mask = tokenizer.mask_token_id
        if mask is None:
            raise TrainingError(
                "the tokenizer has no mask: make it with special: ['[PAD]', '[UNK]', '[CLS]', "
                "'[SEP]', '[MASK]'], or name one that has"
            )
        special = np.zeros(len(tokenizer), dtype=np.bool_)
        special[tokenizer.all_special_ids] = True
        if special.all():
            raise TrainingError("the tokenizer has special tokens only")
        words = None if unit == "token" else Words.of(tokenizer)
        return cls(share, unit, int(mask), special, words)

    def draw(self, ids: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """What the model sees, int64 [n], and which tokens it has to fill in, bool [n].

        As many are chosen as the share says, rounded, and at least one where any may be; words and
        spans that would go beyond it are left out.
        """
        free = np.flatnonzero(~self.special[ids])
        chosen = np.zeros(len(ids), dtype=np.bool_)
        if not len(free):
            return ids.copy(), chosen
        budget = max(1, round(self.share * len(free)))
        groups = self._groups(ids, free, budget, rng)
        kinds = rng.random(len(groups) if self.unit == "span" else sum(map(len, groups)))
        places = np.concatenate(groups)
        if self.unit == "span":
            # A span is hidden in one way as a whole.
            kinds = np.repeat(kinds, [len(group) for group in groups])
        chosen[places] = True
        seen = ids.copy()
        seen[places[kinds < MASKED]] = self.mask
        others = places[(kinds >= MASKED) & (kinds < MASKED + REPLACED)]
        pool = np.flatnonzero(~self.special)
        seen[others] = pool[rng.integers(len(pool), size=len(others))]
        return seen, chosen

    def _groups(
        self, ids: np.ndarray, free: np.ndarray, budget: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Places that are hidden together, within the budget; at least one group."""
        if self.words is None:
            return [np.array([place]) for place in rng.permutation(free)[:budget]]
        words = self._words(ids, free)
        if self.unit == "word":
            return _within(budget, (words[k] for k in rng.permutation(len(words))))
        spans = _within(budget, _spans(words, rng), distinct=True)
        return spans or _within(budget, (words[k] for k in rng.permutation(len(words))))

    def _words(self, ids: np.ndarray, free: np.ndarray) -> list[np.ndarray]:
        """The places of each word; special tokens belong to none, and part words."""
        assert self.words is not None
        begins = self.words.starts(ids)[free]
        begins[1:] |= np.diff(free) > 1
        begins[0] = True
        return np.split(free, np.flatnonzero(begins)[1:])


def _spans(words: list[np.ndarray], rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Stretches of words from anywhere, for ever; none runs over a special token."""
    while True:
        length = min(1 + int(np.searchsorted(_UP_TO, rng.random(), side="right")), len(words))
        start = int(rng.integers(len(words) - length + 1))
        span = np.concatenate(words[start : start + length])
        if span[-1] - span[0] == len(span) - 1:
            yield span


def _within(
    budget: int, groups: Iterator[np.ndarray], *, distinct: bool = False
) -> list[np.ndarray]:
    """Groups up to `budget` places in all; if none fits, the first one's beginning.

    With `distinct`, groups that touch an earlier one are left out, and after as many misses in a
    row as the budget has places (at least 20) it is enough; there may then be none.
    """
    found: list[np.ndarray] = []
    first: np.ndarray | None = None
    taken: set[int] = set()
    misses, patience = 0, max(20, budget) if distinct else None
    for group in groups:
        if len(taken) >= budget or misses == patience:
            break
        first = group if first is None else first
        if len(taken) + len(group) > budget or not taken.isdisjoint(group.tolist()):
            misses += 1
            continue
        misses = 0
        found.append(group)
        taken.update(group.tolist())
    if found or distinct or first is None:
        return found
    return [first[:budget]]
