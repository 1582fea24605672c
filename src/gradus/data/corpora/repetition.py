"""Documents that repeat themselves, by the rules of Gopher.

Rae et al. (2021), "Scaling Language Models: Methods, Analysis & Insights from Training Gopher",
arXiv:2112.11446, section A.1.1 and table A1. A document is dropped where one of these shares is
above its threshold: lines (paragraphs) that are copies of earlier ones, and the characters in
them; characters covered by the most frequent 2-, 3- or 4-gram of words; characters covered by
5- to 10-grams of words that occur more than once, each character once. Words are parted by white
space; in Chinese, Japanese and Korean, which has none, every character is one.

Legend: W words, n their number in an n-gram.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

GOPHER: Final = 0.3
_PARAGRAPHS: Final = 0.30
_CHARACTERS: Final = 0.20
_TOP: Final = {2: 0.20, 3: 0.18, 4: 0.16}
_REPEATED: Final = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
_WIDE: Final = r"\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_ANY_WIDE: Final = re.compile(f"[{_WIDE}]")
_WORD: Final = re.compile(rf"[{_WIDE}]|[^\s{_WIDE}]+")
_PARAGRAPH: Final = re.compile(r"\n{2,}")


@dataclass(frozen=True, slots=True)
class Limits:
    """Table A1, scaled.

    Attributes:
        lines: share of lines that are copies.
        paragraphs: share of paragraphs that are.
        characters: share of characters in copied lines, or in copied paragraphs.
        top: by n, share of characters in the most frequent n-gram.
        repeated: by n, share of characters in n-grams that occur more than once.
    """

    lines: float
    paragraphs: float
    characters: float
    top: dict[int, float]
    repeated: dict[int, float]

    @classmethod
    def at(cls, repetition: float) -> Limits:
        """The limits at a share of repeated lines; at 0.3 they are the paper's."""
        scale = repetition / GOPHER
        return cls(
            repetition,
            _PARAGRAPHS * scale,
            _CHARACTERS * scale,
            {n: share * scale for n, share in _TOP.items()},
            {n: share * scale for n, share in _REPEATED.items()},
        )


def too_repetitive(text: str, limits: Limits) -> str | None:
    """The first rule that a text breaks, or None."""
    lines = [line for line in text.split("\n") if line.strip()]
    paragraphs = [part for part in _PARAGRAPH.split(text) if part.strip()]
    for name, parts, most in (
        ("lines", lines, limits.lines),
        ("paragraphs", paragraphs, limits.paragraphs),
    ):
        copies, characters = copied(parts)
        if copies > most:
            return f"repeated {name}"
        if characters > limits.characters:
            return f"characters in repeated {name}"
    words = _WORD.findall(text) if _ANY_WIDE.search(text) else text.split()
    codes: dict[str, int] = {}
    numbers = np.array([codes.setdefault(word, len(codes)) for word in words], np.int64)
    sizes = np.array([len(word) for word in words], np.int64)
    return _first_ngram(numbers, sizes, limits)


def copied(parts: Sequence[str]) -> tuple[float, float]:
    """Share of the parts that are copies of an earlier one, and of the characters in these."""
    seen: set[str] = set()
    copies = characters = 0
    for part in parts:
        if part in seen:
            copies += 1
            characters += len(part)
        seen.add(part)
    total = sum(map(len, parts))
    return (copies / len(parts), characters / total) if total else (0.0, 0.0)


def _first_ngram(numbers: np.ndarray, sizes: np.ndarray, limits: Limits) -> str | None:
    """The first rule on n-grams that words [W] break; `sizes` are their characters."""
    total = int(sizes.sum())
    grams = numbers
    for n in range(2, max(limits.repeated) + 1):
        if len(numbers) < n:
            return None
        # An n-gram is the (n-1)-gram before it and one word more: one number for each kind.
        pairs = grams[:-1] * (int(numbers.max()) + 1) + numbers[n - 1 :]
        grams, counts = _numbered(pairs)
        if n in limits.top and top_share(grams, counts, sizes, n, total) > limits.top[n]:
            return f"most frequent {n}-gram"
        if n in limits.repeated:
            inside = np.zeros(len(numbers) + 1, np.int64)
            starts = np.flatnonzero(counts[grams] > 1)
            np.add.at(inside, starts, 1)
            np.add.at(inside, starts + n, -1)
            covered = int(sizes[np.cumsum(inside)[:-1] > 0].sum())
            if covered > limits.repeated[n] * total:
                return f"repeated {n}-grams"
    return None


def _numbered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each value as a number from 0, and how often each number occurs."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    ranks = np.zeros(len(values), np.int64)
    np.cumsum(ordered[1:] != ordered[:-1], out=ranks[1:])
    numbers = np.empty_like(ranks)
    numbers[order] = ranks
    return numbers, np.bincount(ranks)


def top_share(
    grams: np.ndarray, counts: np.ndarray, sizes: np.ndarray, n: int, total: int
) -> float:
    """Share of characters in the most frequent n-gram; 0 where none occurs twice."""
    most = int(counts.max())
    if most < 2:
        return 0.0
    lengths = np.convolve(sizes, np.ones(n, np.int64), mode="valid")
    # Of equally frequent ones the longest counts.
    return most * int(lengths[counts[grams] == most].max()) / total
