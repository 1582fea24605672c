"""Where names (of people, places, peoples, organisations) stand in an English or Chinese text.

The rule, `RULE`. It is a stated proxy: no model is asked, and it errs in ways that can be said.

English and other scripts with capitals:

1. A word that begins with a capital in the midst of a line and a sentence is a name, function words
   and I aside.
2. A word where sentences and lines begin anyway with a capital (behind an end of sentence, a line
   end, an opening quote, a colon) is a name only if it also stands as one by 1 or 3 somewhere in
   the text or beside it, and never in lower case.
3. What stands alone on a line in front of a colon, beginning with a capital, is a name: who speaks.
4. Names next to one another, a space between them, are one name.

Chinese: what jieba tags as a person, place, organisation or other proper noun (nr, ns, nt, nz), of
at least two characters.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from gradus.benchmarks.suite.stop_words import is_stop_word
from gradus.errors import MissingExtra
from gradus.writing.sentences import sentence_spans

RULE: Final = "names.v1"

_IDEOGRAPHS: Final = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_LETTER: Final = rf"[^\W\d_{_IDEOGRAPHS}]"
_WORD: Final = re.compile(rf"{_LETTER}+(?:['’-]{_LETTER}+)*")
_HAN: Final = re.compile(rf"[{_IDEOGRAPHS}][{_IDEOGRAPHS}·]*")
_SPEAKER: Final = re.compile(
    rf"^[^\S\n]*({_LETTER}(?:{_LETTER}|[\d'’. -]){{0,38}}(?:{_LETTER}|[\d.]))[^\S\n]*:[^\S\n]*$",
    re.MULTILINE,
)
_OPENS: Final = re.compile(r"(?:\n|[\"“‘«(\[{:;—–*_]|(?:^|\s)['’-])[^\S\n]*\Z")
_PROPER: Final = frozenset(["nr", "nrfg", "nrt", "ns", "nt", "nz"])
_LOOK_BACK: Final = 8
# They say who is meant only with a name beside them.
_TITLES_TEXT: Final = """
mr mrs ms miss dr sir lord lady king queen prince princess duke duchess earl count captain general
colonel professor president minister saint st first second third
"""
_TITLES: Final = frozenset(_TITLES_TEXT.split())


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """A name and where it stands: the characters `start` to `end`, exclusive."""

    start: int
    end: int
    text: str


def find_names(text: str, *, beside: str = "") -> tuple[Name, ...]:
    """The names in a text, in order; see `RULE`.

    Args:
        text: where to look.
        beside: what else shows how a word is written (a prompt, a source); no name in it is given.

    Raises:
        MissingExtra: the text has Chinese characters and jieba isn't installed.

    >>> [name.text for name in find_names("Then Tom Sawyer saw Becky. Tom ran. Then she hid.")]
    ['Tom Sawyer', 'Becky', 'Tom']
    """
    found = [*_capitalised(text, beside), *_chinese(text)]
    return tuple(sorted(found))


def same_name(one: str, other: str) -> bool:
    """Whether two names can mean the same: they share a word that is no title, in any case.

    Of names that are titles alone, all of them. Chinese names: one is a part of the other.

    >>> same_name("Tom Sawyer", "TOM"), same_name("King Henry", "King John")
    (True, False)
    """
    if _HAN.search(one) or _HAN.search(other):
        return one in other or other in one
    return bool(telling_words(one) & telling_words(other))


def telling_words(name: str) -> frozenset[str]:
    """Words of a name that tell who is meant, without case: all but titles, if there are others."""
    words = [_plain(word) for word in _WORD.findall(name)]
    telling = frozenset(word for word in words if word not in _TITLES)
    return telling or frozenset([" ".join(words)])


def _plain(word: str) -> str:
    """Without case and the ending of a genitive."""
    bare = word.casefold().replace("’", "'")
    return bare.removesuffix("'s") or bare


def _capitalised(text: str, beside: str) -> Iterator[Name]:
    """Names by capitals, neighbours joined."""
    shown, lower = _shown(text), {_plain(w) for w in _WORD.findall(text) if w[0].islower()}
    if beside:
        shown |= _shown(beside)
        lower |= {_plain(w) for w in _WORD.findall(beside) if w[0].islower()}
    speakers = [match.span(1) for match in _SPEAKER.finditer(text)]
    for speaker in _SPEAKER.findall(f"{beside}\n{text}"):
        shown |= {_plain(word) for word in _WORD.findall(speaker)}
    sure = shown - lower
    held: list[tuple[int, int]] = []
    for start, end, opens in _words(text):
        if any(low <= start < high for low, high in speakers):
            continue
        if opens and _plain(text[start:end]) not in sure:
            continue
        if held and text[held[-1][1] : start] == " ":
            held[-1] = (held[-1][0], end)
        else:
            held.append((start, end))
    speaking = [span for span in speakers if text[span[0]].isupper()]
    for start, end in [*held, *speaking]:
        yield Name(start, end, text[start:end])


def _shown(text: str) -> set[str]:
    """The words that stand with a capital where none is called for."""
    return {_plain(text[start:end]) for start, end, opens in _words(text) if not opens}


def _words(text: str) -> Iterator[tuple[int, int, bool]]:
    """Words with a capital that may be names, and whether a capital is called for there."""
    begins = {start for start, _ in sentence_spans(text)}
    for match in _WORD.finditer(text):
        word = match[0]
        if not word[0].isupper() or word in ("I", "O") or is_stop_word(word):
            continue
        before = text[max(0, match.start() - _LOOK_BACK) : match.start()]
        opens = match.start() in begins or not before.strip() or bool(_OPENS.search(before))
        yield match.start(), match.end(), opens


def _chinese(text: str) -> Iterator[Name]:
    for run in _HAN.finditer(text):
        place = run.start()
        for word, tag in _tagger().cut(run[0]):
            if tag in _PROPER and len(word) > 1:
                yield Name(place, place + len(word), word)
            place += len(word)


@cache
def _tagger() -> Any:
    try:
        import jieba
        import jieba.posseg
    except ImportError as error:
        raise MissingExtra("jieba", "chinese", "names in Chinese texts") from error
    jieba.setLogLevel(logging.WARNING)
    # A tagger of our own: words that others add to the shared one mustn't change ours.
    return jieba.posseg.POSTokenizer(jieba.Tokenizer())
