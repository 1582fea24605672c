"""Which language a document is in, told from its script and, in Latin script, its small words.

The rule, on at most `SEEN` characters from the middle of the document: the script that most
letters belong to says the language where few share it; Han with one kana in twenty or more is
Japanese; Cyrillic with letters that only Ukrainian has is Ukrainian. In Latin script the language
is that of whose commonest function words the text holds most, if they are at least one word in
twenty. Whatever is left is ``und`` (undetermined, ISO 639-2). It is meant for filters and
breakdowns over whole documents; single words and close relatives are beyond it.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

SEEN: Final = 2000
UNKNOWN: Final = "und"
_LEAST: Final = 0.05

# First and last code point of blocks, by script; what lies between belongs to none.
_BLOCKS: Final = {
    "latin": "41-5a 61-7a aa-aa ba-ba c0-d6 d8-f6 f8-24f 1e00-1eff",
    "han": "3400-4dbf 4e00-9fff f900-faff 20000-3ffff",
    "kana": "3041-30ff 31f0-31ff ff66-ff9f",
    "ko": "1100-11ff 3131-318e ac00-d7af",
    "cyrillic": "400-52f",
    "ar": "600-6ff 750-77f",
    "he": "591-5f4",
    "el": "370-3ff 1f00-1fff",
    "hi": "900-97f",
    "th": "e01-e5b",
}
_SCRIPTS: Final = tuple(_BLOCKS)


def _table() -> tuple[np.ndarray, np.ndarray]:
    """Where stretches of code points begin, and the number of each one's script; 0 for none."""
    edges = {0: 0}
    for number, blocks in enumerate(_BLOCKS.values(), start=1):
        for block in blocks.split():
            first, last = (int(code, 16) for code in block.split("-"))
            edges[first] = number
            edges.setdefault(last + 1, 0)
    starts = sorted(edges)
    return np.array(starts, np.uint32), np.array([edges[start] for start in starts])


_STARTS, _OWNERS = _table()
_UKRAINIAN: Final = re.compile("[\u0404\u0406\u0407\u0454\u0456\u0457\u0490\u0491]")
_WORD: Final = re.compile(r"[^\W\d_]+")
_SMALL: Final = {
    "en": "the of and to in is that it for was with as his on be at by he not this are but from "
    "have they you which or her had an were been their my thou what so me your will shall",
    "fr": "le la les de des du et en un une que qui dans est pour pas au sur il elle ne ce se par "
    "plus avec sont je nous vous mais aux cette son ses été",
    "de": "der die das und in den von zu mit ist des im nicht ein eine dem sich auf für als auch "
    "es an werden aus er hat dass sie nach wird bei einer um ich wir war",
    "es": "el la los las de que y en un una del se por con no para es su al lo como más pero sus "
    "le ya o este sí porque esta entre está cuando muy sin sobre también",
    "it": "il la di che e in un una del della per con non si da sono le dei al come più anche gli "
    "ma nel alla dal delle è ha questo lo io mi suo era essere",
    "pt": "o a os as de que e do da em um uma para com não por se no na mais dos como mas foi ao "
    "ele das tem seu sua ou ser quando muito há já está eu também pelo",
    "nl": "de het een van en in is dat op te zijn met voor niet aan er om ook als dan maar bij nog "
    "uit door naar heeft hij ze wordt werd tot je mijn deze",
}
_SPEAKERS: Final[dict[str, list[str]]] = {}
for _code, _words in _SMALL.items():
    for _word in _words.split():
        _SPEAKERS.setdefault(_word, []).append(_code)


def detect(text: str) -> str:
    """The code of a text's language.

    >>> detect("To be, or not to be, that is the question")
    'en'
    >>> detect("酒店的早餐很丰富")
    'zh'
    """
    if len(text) > SEEN:
        start = (len(text) - SEEN) // 2
        text = text[start : start + SEEN]
    if text.isascii():
        return _latin(text)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    owners = _OWNERS[np.searchsorted(_STARTS, codes, side="right") - 1]
    counts = np.bincount(owners, minlength=len(_SCRIPTS) + 1)[1:].tolist()
    found = dict(zip(_SCRIPTS, counts, strict=True))
    # A character of these says as much as half a word of the others.
    found["han"] *= 2
    found["ko"] *= 2
    kana, han = found.pop("kana"), found["han"] // 2
    found["han"] += 2 * kana
    script = max(found, key=lambda name: found[name])
    if not found[script]:
        return UNKNOWN
    if script == "latin":
        return _latin(text)
    if script == "han":
        return "ja" if 20 * kana >= han + kana else "zh"
    if script == "cyrillic":
        return "uk" if _UKRAINIAN.search(text) else "ru"
    return script


def _latin(text: str) -> str:
    """The language whose small words the text holds most."""
    words = _WORD.findall(text.lower())
    found = dict.fromkeys(_SMALL, 0)
    for word in words:
        for code in _SPEAKERS.get(word, ()):
            found[code] += 1
    best = max(found, key=lambda code: found[code])
    return best if words and found[best] >= _LEAST * len(words) else UNKNOWN
