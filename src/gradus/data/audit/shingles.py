"""Texts as sets of short overlapping pieces, so that nearly equal texts share nearly all of them.

A text is brought to a plain form first: Unicode NFKC, lower case, everything that is neither
letter nor digit a single space. Its shingles are all runs of `WIDTH` characters of that, a
Chinese, Japanese or Korean character counting as two, since it says about as much as half a word.
Characters need no segmentation, and a text of a dozen words still has some fifty shingles.

Legend: N texts, S shingles in all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

WIDTH: Final = 5
_GAP: Final = re.compile(r"[\W_]+")
_PRIME: Final = np.uint32(0x01000193)
_FINAL: Final = np.uint32(0x85EBCA6B)


@dataclass(frozen=True, slots=True)
class Shingles:
    """The shingles of N texts, one text after the other.

    Attributes:
        hashes: uint32 [S], a hash of each shingle.
        starts: int64 [N + 1], where each text's shingles begin; the last entry is S.
    """

    hashes: np.ndarray
    starts: np.ndarray

    def of(self, row: int) -> np.ndarray:
        """uint32: the shingles of one text, with repeats."""
        return self.hashes[self.starts[row] : self.starts[row + 1]]


def as_text(item: Any) -> str:
    """An item of a split as one text: the parts of a pair stand on lines of their own."""
    return item if isinstance(item, str) else "\n".join(item)


def plain_form(text: str) -> str:
    """The text without case, punctuation and odd spaces; unchanged if nothing would be left.

    >>> plain_form("  Where's MY card?")
    'where s my card'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _GAP.sub(" ", text.lower()).strip() or text


def shingle(texts: Iterable[Any]) -> Shingles:
    """The shingles of texts; a text shorter than one shingle is one, padded with spaces."""
    forms = [f" {plain_form(as_text(item))} ".ljust(WIDTH) for item in texts]
    lengths = np.fromiter(map(len, forms), np.int64, len(forms))
    codes = np.frombuffer("".join(forms).encode("utf-32-le", "surrogatepass"), np.uint32)
    wide = is_wide(codes)
    if wide.any():
        owners = np.repeat(np.arange(len(forms)), lengths)
        lengths = lengths + np.bincount(owners[wide], minlength=len(forms))
        codes = np.repeat(codes, 1 + wide)
    return _windows(codes, lengths)


def is_wide(codes: np.ndarray) -> np.ndarray:
    """bool: which code points are Chinese, Japanese or Korean characters."""
    return np.asarray(
        ((codes >= 0x2E80) & (codes <= 0x9FFF))
        | ((codes >= 0xAC00) & (codes <= 0xD7AF))
        | ((codes >= 0xF900) & (codes <= 0xFAFF))
        | ((codes >= 0x20000) & (codes <= 0x3FFFF))
    )


def _windows(codes: np.ndarray, lengths: np.ndarray) -> Shingles:
    """Hashes of all windows that don't cross from one text into the next."""
    starts = np.concatenate([[0], np.cumsum(lengths - WIDTH + 1)])
    if not len(codes):
        return Shingles(np.zeros(0, np.uint32), starts)
    count = len(codes) - WIDTH + 1
    hashes = np.full(count, 0x811C9DC5, np.uint32)
    for j in range(WIDTH):
        hashes ^= codes[j : j + count]
        hashes *= _PRIME
        hashes ^= hashes >> np.uint32(15)
    hashes *= _FINAL
    hashes ^= hashes >> np.uint32(13)
    inside = np.ones(count, bool)
    ends = np.cumsum(lengths)[:-1]
    for j in range(1, WIDTH):
        inside[ends - j] = False
    return Shingles(hashes[inside], starts)
