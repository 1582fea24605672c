"""Numbers in texts against values known otherwise."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.writing.numbers import find_numbers

_UNITS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen
"""
UNITS = _UNITS.split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
TENS = ["", "", *_TENS.split()]


def in_english(value: int) -> str:
    """A number from 1 to 10**12 - 1 in words, as taught."""
    for size, name in ((10**9, "billion"), (10**6, "million"), (1000, "thousand")):
        if value >= size:
            rest = f" {in_english(value % size)}" if value % size else ""
            return f"{in_english(value // size)} {name}{rest}"
    if value >= 100:
        rest = f" and {in_english(value % 100)}" if value % 100 else ""
        return f"{UNITS[value // 100]} hundred{rest}"
    if value >= 20:
        return TENS[value // 10] + (f"-{UNITS[value % 10]}" if value % 10 else "")
    return UNITS[value]


def in_chinese(value: int) -> str:
    """A number from 1 to 10**12 - 1 in Chinese, as taught."""
    for size, name in ((10**8, "亿"), (10**4, "万")):
        if value >= size:
            rest = value % size
            zero = "零" if rest and rest < size // 10 else ""
            return in_chinese(value // size) + name + (zero + in_chinese(rest) if rest else "")
    found, started, gap = "", False, False
    for size, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = value // size % 10
        if digit:
            found += ("零" if gap and started else "") + "零一二三四五六七八九"[digit] + name
            started, gap = True, False
        else:
            gap = True
    return found


@given(st.integers(2, 10**12 - 1))
def test_numbers_in_words_are_read(value: int) -> None:
    assert find_numbers(f"There were {in_english(value)} of them.") == (value,)


@given(st.integers(2, 10**12 - 1))
def test_chinese_numerals_are_read(value: int) -> None:
    assert find_numbers(f"这里有{in_chinese(value)}人。") == (value,)


@given(st.integers(0, 10**9), st.integers(0, 999))
def test_digits_are_read_however_they_are_parted(whole: int, part: int) -> None:
    value = Fraction(f"{whole}.{part:03}")
    assert find_numbers(f"about {whole:,}.{part:03} km") == (value,)
    assert find_numbers(f"大约{whole}.{part:03}公里") == (value,)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("In the 1990s he was 3rd, on 5 May.", [1990, 3, 5]),
        ("3.5 million people, 2 thousand cars", [3500000, 2000]),
        ("3.5万人，２千辆车，1万亿元", [35000, 2000, 10**12]),
        ("a dozen eggs, a hundred men and two hundred and six bones", [12, 100, 206]),
        ("twelve hundred; twenty-one; five six", [1200, 21, 5, 6]),
        ("no one, someone, one of them, a bone", []),
        ("a B52 and a mp3", []),
        ("第三次", []),
        ("一个人十分高兴，千万别走，他一一说明", []),
        ("十分钟后，两个人，百分之三十五，三点五公里", [10, 2, 35, Fraction("3.5")]),
        ("二〇二三年十月", [2023, 10]),
        ("三亿五千万元，一百二块", [350000000, 120]),
        ("", []),
    ],
)
def test_what_counts_as_a_number(text: str, values: list[float]) -> None:
    assert list(find_numbers(text)) == values


@given(st.text(max_size=60))
def test_any_text_is_borne(text: str) -> None:
    assert all(isinstance(value, Fraction) for value in find_numbers(text))
