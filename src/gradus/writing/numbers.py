"""The numbers that an English or Chinese text states, as values: `1,200`, `twelve`, `一千二百`.

The rule, `RULE`. It is a stated proxy: no model is asked, and it errs in ways that can be said.

1. Digits, with commas between thousands and a decimal point, in any width. Letters behind them are
   an ending (``3rd``, ``1990s``); digits behind a letter are a name (``B52``).
2. English number words: units, tens, ``hundred``, ``thousand``, ``million``, ``billion``,
   ``dozen``, with hyphens and ``and`` between. ``one`` and ``zero`` by themselves state nothing.
3. Chinese numerals in front of a measure word, a unit or a word for time, in places (``三百五十``)
   or digit by digit (``二〇二三年``), and behind ``百分之``. 一 by itself states nothing.
4. ``million``, ``万``, ``亿`` and the like behind digits multiply. Percent signs and units don't
   count: 30 % is 30.

Ordinals written out (``third``, ``第三``) state no number; minus signs don't count.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Final

RULE: Final = "numbers.v1"

_UNITS: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL: Final[Mapping[str, int]] = {
    **{word: value for value, word in enumerate(_UNITS.split())},
    **{word: 10 * value for value, word in enumerate(_TENS.split(), start=2)},
}
_GREAT: Final[Mapping[str, int]] = {
    "dozen": 12,
    "hundred": 100,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_ONE: Final = "|".join(sorted({*_SMALL, *_GREAT}, key=len, reverse=True))
_WORDS: Final = re.compile(
    rf"\b(?:an?[ ]+(?=(?:{'|'.join(_GREAT)})))?(?:{_ONE})"
    rf"(?:(?:[ ]+and[ ]+|[ ]*-[ ]*|[ ]+)(?:{_ONE}))*\b"
)
_TIMES: Final[Mapping[str, int]] = {
    **{word: value for word, value in _GREAT.items() if value >= 1000},
    "千": 10**3,
    "万": 10**4,
    "亿": 10**8,
}
_DIGITS: Final = re.compile(
    r"(?<![a-z\d])(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?"
    r"(?:[ ]?(thousand|million|billion|trillion)\b|[ ]?(千|万亿|万|亿))?"
)

_FIGURES: Final[Mapping[str, int]] = {
    **{figure: value for value, figure in enumerate("零一二三四五六七八九")},
    "〇": 0,
    "两": 2,
}
_PLACES: Final[Mapping[str, int]] = {"十": 10, "百": 100, "千": 1000}
_NUMERALS: Final = "".join([*_FIGURES, *_PLACES, "万亿"])
_MEASURES: Final = frozenset(
    "个名位人只头条张本册篇首棵朵座栋间层家所辆艘架台部件份颗粒块片把支枝根双对次回遍场届期号路"
    "年月日天周时点刻分秒岁代世楼元角圆美港欧英日斤两克吨公千厘毫米里尺寸亩升度倍成股票"
)
_HAN_NUMBER: Final = re.compile(
    rf"(?<![第{_NUMERALS}])(百分之)?([{_NUMERALS}]+(?:点[{_NUMERALS}]+)?)(?=(.{{0,2}}))"
)
# Not numbers, though a measure word may follow: very, wholly, one and all.
_IDIOMS: Final = frozenset({"十分", "万分", "千万", "百万分", "万一", "一一", "三三两两"})


def find_numbers(text: str) -> tuple[Fraction, ...]:
    """The values of the numbers in a text: those in digits, then in English words, then in Chinese.

    >>> [str(value) for value in find_numbers("In 1990, 1,200 of 3.5 million; twenty-one men")]
    ['1990', '1200', '3500000', '21']
    >>> [str(value) for value in find_numbers("二〇二三年，三百五十人，百分之三十，十分高兴")]
    ['2023', '350', '30']
    """
    plain = unicodedata.normalize("NFKC", text).lower()
    return (*_in_digits(plain), *_in_words(plain), *_in_chinese(plain))


def _in_digits(text: str) -> Iterator[Fraction]:
    for match in _DIGITS.finditer(text):
        whole, part, word, character = match.groups()
        value = Fraction(whole.replace(",", "") + (part or ""))
        for times in [word] if word else list(character or ""):
            value *= _TIMES[times]
        yield value


def _in_words(text: str) -> Iterator[Fraction]:
    for match in _WORDS.finditer(text):
        if re.search(r"\d[ ]?\Z", text[max(0, match.start() - 2) : match.start()]):
            continue  # the million of "3 million"
        words = [word for word in re.findall(r"[a-z]+", match[0]) if word not in ("and", "a", "an")]
        if words not in (["one"], ["zero"]):
            yield from map(Fraction, _values(words))


def _values(words: list[str]) -> Iterator[int]:
    """The numbers that number words in a row make: a word that can't go on begins the next."""
    total = held = 0
    least = None  # what the next small word must be below
    begun = False
    for word in words:
        if word in _GREAT:
            times = _GREAT[word]
            if times <= 100:
                held = max(held, 1) * times
                least = times
            else:
                total, held, least = total + max(held, 1) * times, 0, times
        else:
            value = _SMALL[word]
            fits = not begun or (least is not None and value < least and value > 0)
            if not fits:
                yield total + held
                total = held = 0
            held += value
            least = 10 if value >= 20 and value % 10 == 0 else 1
        begun = True
    if begun:
        yield total + held


def _in_chinese(text: str) -> Iterator[Fraction]:
    for match in _HAN_NUMBER.finditer(text):
        percent, numeral, behind = match.groups()
        if not percent and behind[:1] not in _MEASURES:
            continue
        idiom = numeral in _IDIOMS or (numeral + behind[:1] in _IDIOMS and behind[1:] != "钟")
        if idiom or numeral in ("一", "零", "〇"):
            continue
        if text[max(0, match.start() - 1) : match.start()].isdecimal():
            continue  # the 万 of 3.5万
        yield _chinese_value(numeral)


def _chinese_value(numeral: str) -> Fraction:
    """What a Chinese numeral stands for.

    >>> [int(_chinese_value(one)) for one in ("二〇二三", "十五", "两千零三", "三亿五千万")]
    [2023, 15, 2003, 350000000]
    """
    whole, _, part = numeral.partition("点")
    figures = [_FIGURES[one] for one in part if one in _FIGURES]
    behind = Fraction(int("".join(map(str, figures)) or "0"), 10 ** len(figures))
    if all(one in _FIGURES for one in whole):
        return int("".join(str(_FIGURES[one]) for one in whole)) + behind
    total, section, figure, place = 0, 0, 0, 1
    for one in whole:
        if one in _FIGURES:
            # Behind a zero a figure counts ones, else tenths of the place before: 一百二 is 120.
            figure, place = _FIGURES[one], 1 if _FIGURES[one] == 0 else place
        elif one in _PLACES:
            section += max(figure, 1) * _PLACES[one]
            figure, place = 0, _PLACES[one] // 10
        else:
            times, held = _TIMES[one], section + figure
            # 亿 takes all before it, 万 only what stands since 亿.
            total = ((total + held) or 1) * times if one == "亿" else total + (held or 1) * times
            section, figure, place = 0, 0, times // 10
    return total + section + figure * place + behind
