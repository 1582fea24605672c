"""Gopher's rules against their definitions, counted word by word."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.data.corpora.repetition import GOPHER, Limits, copied, too_repetitive

LIMITS = Limits.at(GOPHER)
WORDS = st.lists(st.sampled_from(["a", "bb", "ccc", "dd", "e"]), min_size=1, max_size=40)


def shares(words: list[str]) -> dict[str, float]:
    """The share of characters of each rule on n-grams, by its message."""
    total = sum(map(len, words))
    found = {}
    for n in range(2, 11):
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        counts = Counter(grams)
        if n <= 4:
            most = max(counts.values(), default=0)
            sizes = [sum(map(len, g)) for g, count in counts.items() if count == most]
            found[f"most frequent {n}-gram"] = most * max(sizes) / total if most > 1 else 0.0
        else:
            covered = {i + j for i, gram in enumerate(grams) if counts[gram] > 1 for j in range(n)}
            found[f"repeated {n}-grams"] = sum(len(words[i]) for i in covered) / total
    return found


def brute_force(words: list[str], scale: float) -> str | None:
    limits = [0.20, 0.18, 0.16, 0.15, 0.14, 0.13, 0.12, 0.11, 0.10]
    for (name, share), limit in zip(shares(words).items(), limits, strict=True):
        if share > limit * scale:
            return name
    return None


@given(WORDS, st.sampled_from([0.3, 0.6, 0.9]))
def test_ngrams(words: list[str], repetition: float) -> None:
    found = too_repetitive(" ".join(words), Limits.at(repetition))
    assert found == brute_force(words, repetition / 0.3)


@pytest.mark.parametrize(("n", "limit"), [(5, 15), (6, 14), (7, 13), (8, 12), (9, 11), (10, 10)])
def test_a_passage_said_twice(n: int, limit: int) -> None:
    """As much of the text as breaks the rule on n words and none of the laxer ones before it."""
    passage = [f"p{i:03}" for i in range(n)]
    others = [f"w{i:03}" for i in range(round(200 * n / (limit + 0.5)) - 2 * n)]
    text = [*passage, *others[:9], *passage, *others[9:]]
    assert too_repetitive(" ".join(text), LIMITS) == f"repeated {n}-grams"
    assert (
        too_repetitive(" ".join(text + others[:3] + [f"v{i:03}" for i in range(n)]), LIMITS) is None
    )


@given(st.lists(st.sampled_from(["x", "yy", "zzz"]), max_size=12))
def test_copies(parts: list[str]) -> None:
    seen: list[str] = []
    again = []
    for part in parts:
        (again if part in seen else seen).append(part)
    copies, characters = copied(parts)
    if parts:
        assert copies == len(again) / len(parts)
        assert characters == sum(map(len, again)) / sum(map(len, parts))


def test_lines_and_paragraphs() -> None:
    plain = [f"first{i} second{i} third{i}" for i in range(12)]
    assert too_repetitive("\n".join(plain), LIMITS) is None

    def with_copies(line: str, copies: int, others: int) -> str:
        parts = [part for i in range(copies) for part in (line, plain[i])]
        return "\n".join([*parts, *plain[copies:others]])

    assert too_repetitive(with_copies("same", 4, 6), LIMITS) is None  # 3 of 10 lines
    assert too_repetitive(with_copies("same", 5, 6), LIMITS) == "repeated lines"
    long = "a line that stands here twice, though it is rather long"
    assert too_repetitive(with_copies(long, 2, 6), LIMITS) == "characters in repeated lines"
    # Of the lines few are copies, of the paragraphs many.
    parts = ["\n".join(f"one{i}{j} two{i}{j} three{i}{j}" for j in range(4)) for i in range(6)]
    mixed = [part for long in parts for part in ("same", long)]
    assert too_repetitive("\n\n".join(mixed[:10]), LIMITS) == "repeated paragraphs"
    assert too_repetitive("\n\n".join([*mixed[:6], *parts[3:]]), LIMITS) is None


def test_chinese_characters_are_words() -> None:
    text = "酒店的早餐很丰富房间也很干净"
    assert too_repetitive(text, LIMITS) is None
    assert too_repetitive(text * 2, LIMITS) == brute_force(list(text * 2), 1.0)
