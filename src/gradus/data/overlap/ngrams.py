"""Words and n-grams of texts as 64-bit hashes, made batch by batch from a stream.

One rule of words serves both papers. Texts are brought to Unicode NFKC and lower case; a word is
then a run of letters and digits with their combining marks, and nothing else counts: punctuation
and white space only part words. That is Radford et al. (2019), section 4, "lower-cased
alphanumeric words"; Brown et al. (2020), appendix C, ignore punctuation, white space and case too.
A character of a script that is written without spaces (Han, kana, Thai, Lao, Khmer, Burmese) is a
word of its own, so that a 13-gram of Chinese is 13 characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np

from gradus.data.words import UNSPACED

RULE: Final = "alphanumeric.v1"
"""What makes two hashes comparable: words and hash functions as they are in this file."""

BATCH_WORDS: Final = 1 << 16
_CACHED_WORDS: Final = 1 << 16
_BASE: Final = np.uint64(0x9E3779B97F4A7C15)
_PLAIN: Final = re.compile(r"[a-z0-9]+")


_LAST: Final = 0x33000
"""Behind the last letter or mark of Unicode that makes a word, but for tags and variants."""


@cache
def _word() -> re.Pattern[str]:
    """A word in any script; made once, since it lists every letter and mark."""
    marks = _ranges(c for c in range(_LAST) if unicodedata.category(chr(c))[0] == "M")
    apart = {code for low, high in UNSPACED for code in range(low, high + 1)}
    alnum = [code for code in range(_LAST) if chr(code).isalnum()]
    spaced = _ranges(code for code in alnum if code not in apart)
    alone = _ranges(code for code in alnum if code in apart)
    return re.compile(f"[{spaced}][{spaced}{marks}]*|[{alone}][{marks}]*")


def _ranges(codes: Iterable[int]) -> str:
    """Code points in order as what stands in the brackets of a pattern."""
    found: list[list[int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in found)


def words(text: str) -> list[str]:
    """The words of a text, normalised.

    >>> words("Don't stop: 3.5 %, 北京 ＡＢ")
    ['don', 't', 'stop', '3', '5', '北', '京', 'ab']
    """
    if text.isascii():
        return _PLAIN.findall(text.lower())
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
    return _word().findall(plain)


class Piece(NamedTuple):
    """A part of a corpus.

    Attributes:
        text: the part.
        document: number of the document that it is of.
        joined: whether its words follow those of the piece before.
    """

    text: str
    document: int
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """N words in a row and the n-grams that end among those of them that are new.

    Attributes:
        words: N words; the first few may be known from the batch before.
        documents: int64 [N], the document of each word.
        grams: size -> (int64 [G], index of each n-gram's first word; uint64 [G], its hash).
    """

    words: Sequence[str]
    documents: np.ndarray
    grams: dict[int, tuple[np.ndarray, np.ndarray]]


class _Hashes(dict[str, int]):
    """Word -> 64-bit hash, the same in every process; forgets all when it has grown."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _CACHED_WORDS:
            self.clear()
        self[word] = found = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "big")
        return found


_HASHES: Final = _Hashes()


def word_hashes(found: Sequence[str]) -> np.ndarray:
    """uint64 [N], a hash of each word."""
    return np.fromiter(map(_HASHES.__getitem__, found), np.uint64, len(found))


def gram_hashes(hashes: np.ndarray, sizes: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Each size with the hashes, uint64 [N - size + 1], of all n-grams of N words in a row.

    A polynomial of the words' hashes modulo 2**64, mixed; sizes share their multiplications.
    """
    wanted = sorted(set(sizes))
    sums = np.zeros(len(hashes), np.uint64)
    for size in range(1, wanted[-1] + 1 if wanted else 0):
        count = len(hashes) - size + 1
        sums = sums[: max(count, 0)] * _BASE + hashes[size - 1 :]
        if size in wanted:
            yield size, mix(sums)


def mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): every bit depends on every bit."""
    found = values.astype(np.uint64, copy=True)
    found ^= found >> np.uint64(30)
    found *= np.uint64(0xBF58476D1CE4E5B9)
    found ^= found >> np.uint64(27)
    found *= np.uint64(0x94D049BB133111EB)
    found ^= found >> np.uint64(31)
    return found


def batches(
    pieces: Iterable[Piece], sizes: Iterable[int], *, at_once: int = BATCH_WORDS
) -> Iterator[Batch]:
    """The n-grams of every size in `sizes`, each once, in order; memory is one batch and piece.

    Args:
        pieces: the corpus.
        sizes: words of an n-gram.
        at_once: a batch is handed on when it has so many words.
    """
    wanted = sorted(set(sizes))
    rows = _Rows(wanted)
    for piece in pieces:
        rows.add(piece)
        if len(rows) >= at_once:
            yield rows.batch()
    if rows.words:
        yield rows.batch()


class _Rows:
    """Words as they come in, with where runs of words end."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = sizes
        self.words: list[str] = []
        self._documents: list[int] = []
        self._runs: list[int] = []
        self._lengths: list[int] = []
        self._run = self._known = 0

    def __len__(self) -> int:
        return max(len(self.words), len(self._lengths))

    def add(self, piece: Piece) -> None:
        """Take the words of a piece in."""
        found = words(piece.text)
        if not piece.joined:
            self._run += 1
        self.words += found
        self._documents.append(piece.document)
        self._runs.append(self._run)
        self._lengths.append(len(found))

    def batch(self) -> Batch:
        """What has come in; all is forgotten but the words that a next n-gram may begin with."""
        lengths = np.asarray(self._lengths)
        documents = np.repeat(np.asarray(self._documents, np.int64), lengths)
        runs = np.repeat(np.asarray(self._runs, np.int64), lengths)
        grams = {}
        for size, hashes in gram_hashes(word_hashes(self.words), self.sizes):
            ends = np.arange(len(hashes)) + size - 1
            starts = np.flatnonzero((runs[ends] == runs[ends - size + 1]) & (ends >= self._known))
            grams[size] = (starts, hashes[starts])
        made = Batch(self.words, documents, grams)
        self._keep(documents, runs)
        return made

    def _keep(self, documents: np.ndarray, runs: np.ndarray) -> None:
        most = min(max(self.sizes, default=1) - 1, len(self.words))
        tail = int((runs[len(runs) - most :] == self._run).sum())
        first = len(self.words) - tail
        self.words = self.words[first:]
        self._documents = documents[first:].tolist()
        self._runs = runs[first:].tolist()
        self._lengths = [1] * tail
        self._known = tail
