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
from collections import Counter
from typing import Final

SEEN: Final = 4000
UNKNOWN: Final = "und"
_LEAST: Final = 0.05

_SCRIPTS: Final = {
    "latin": "A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff",
    "han": "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "kana": "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f",
    "ko": "\u1100-\u11ff\u3131-\u318e\uac00-\ud7af",
    "cyrillic": "\u0400-\u052f",
    "ar": "\u0600-\u06ff\u0750-\u077f",
    "he": "\u0591-\u05f4",
    "el": "\u0370-\u03ff\u1f00-\u1fff",
    "hi": "\u0900-\u097f",
    "th": "\u0e01-\u0e5b",
}
_LETTERS: Final = {name: re.compile(f"[{ranges}]") for name, ranges in _SCRIPTS.items()}
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
_SMALL_WORDS: Final = {code: frozenset(words.split()) for code, words in _SMALL.items()}


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
    found = {name: len(letters.findall(text)) for name, letters in _LETTERS.items()}
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
    counts = Counter(words)
    found = {code: sum(counts[word] for word in small) for code, small in _SMALL_WORDS.items()}
    best = max(found, key=lambda code: found[code])
    return best if words and found[best] >= _LEAST * len(words) else UNKNOWN
