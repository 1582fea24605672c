from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.data.words import find_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t\n", []),
        ("EU rejects German call.", ["EU", "rejects", "German", "call", "."]),
        ("Paris-based O'Brien", ["Paris", "-", "based", "O", "'", "Brien"]),
        ("J.R.R. Tolkien, U.N. aid", ["J.R.R.", "Tolkien", ",", "U.N.", "aid"]),
        ("a.b.com", ["a.b.com"]),
        ("J.R.R.Tolkien", ["J.R.R.Tolkien"]),
        ("$10,000.50 at 3,", ["$", "10,000.50", "at", "3", ","]),
        ("red,green", ["red", ",", "green"]),
        ("end. New", ["end", ".", "New"]),
        ("...", [".", ".", "."]),
        ("snake_case", ["snake_case"]),
        ("酒店不错 ok", ["酒", "店", "不", "错", "ok"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("cafe\u0301 noir", ["cafe\u0301", "noir"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("a\u200b b\x00c", ["a", "b", "c"]),
        ("½ cup", ["½", "cup"]),
    ],
)
def test_the_rule_by_example(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in find_words(text)] == expected


@given(st.text())
def test_words_lie_in_order_and_cover_all_that_can_be_seen(text: str) -> None:
    words = find_words(text)
    covered = [False] * len(text)
    before = 0
    for start, end in words:
        assert before <= start < end
        before = end
        covered[start:end] = [True] * (end - start)
    for character, inside in zip(text, covered, strict=True):
        silent = character.isspace() or unicodedata.category(character) in ("Cc", "Cf")
        assert inside or silent
        assert not (inside and character.isspace())


@given(st.text(), st.text())
def test_a_space_parts_what_stands_before_it_from_what_stands_after(one: str, two: str) -> None:
    shift = len(one) + 1
    after = tuple((start + shift, end + shift) for start, end in find_words(two))
    assert find_words(f"{one} {two}") == find_words(one) + after
