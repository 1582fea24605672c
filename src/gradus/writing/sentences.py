"""Where the sentences of an English or Chinese text are.

The rule, `RULE`, after the sentence boundaries of Unicode Standard Annex #29, with what they leave
to the language:

1. A blank line ends a sentence, and so does a line end in front of a list item. Any other line end
   is white space: verse and wrapped lines don't end a sentence.
2. ``。`` ``！`` ``？`` (and ``｡``) end one wherever they stand, with the marks and the closing
   quotes and brackets behind them.
3. ``.`` ``!`` ``?`` and an ellipsis end one, with what closes behind them, in front of white space
   or the end, unless the next word begins in lower case. Between two characters of a script that
   is written without spaces ``.`` ``!`` ``?`` need no white space; an ellipsis there ends nothing.
4. A full stop behind a title (``Mr.``), a single capital letter other than I (``J.``), an
   enumerator at the beginning (``1.``), or before a number behind what counts or dates (``No. 5``,
   ``Jan. 3``) ends nothing. Behind what may also stand last (``etc.``, ``U.S.``, ``p.m.``) it ends
   a sentence if the next word is one that commonly begins sentences.
5. A piece without a letter or digit goes with the sentence before it, or, where it is the first,
   with the one behind.

Every character that isn't white space is in one sentence, unless the text has no letter or digit at
all, in which case it is one sentence as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gradus.data.words import UNSPACED

RULE: Final = "sentences.v1"

_UNSPACED: Final = "".join(f"{chr(low)}-{chr(high)}" for low, high in UNSPACED)
_OPENING: Final = re.escape("\"'“‘«‹([{「『（【《〈")
_CLOSING: Final = re.escape("\"'”’»›)]}」』）】》〉")
_BREAK: Final = re.compile(r"\n(?:\s*\n\s*|\s*(?=(?:[-*•·]|\d{1,3}[.)])\s))")
_END: Final = re.compile(rf"[.!?…。｡！？]+[{_CLOSING}]*")
_ALWAYS: Final = re.compile(r"[。｡！？]")
_UNSPACED_BEFORE: Final = re.compile(rf"[{_UNSPACED}]\Z")
_UNSPACED_NEXT: Final = re.compile(rf"[{_OPENING}]*[{_UNSPACED}]")
_BETWEEN: Final = re.compile(rf"[\s{_OPENING}—–-]*")
_LAST_WORD: Final = re.compile(r"[^\W\d_]+\Z")
_INITIALS: Final = re.compile(r"(?<![^\W\d_])(?:[^\W\d_]\.)+[^\W\d_]\Z")
_WORD: Final = re.compile(r"[^\W\d_]+")
_ENUMERATOR: Final = re.compile(r"\W*\d{1,3}")
_SAYS: Final = re.compile(r"[^\W_]")
_LOOK_BACK: Final = 24


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TITLES: Final = _set(
    "mr mrs ms dr prof st gen lt col capt cpt sgt maj adm rev hon gov sen rep messrs mme mlle "
    "vs cf e.g i.e viz ca approx"
)
_BEFORE_NUMBERS: Final = _set(
    "no nos vol vols fig figs eq eqs p pp sec ch chap sc "
    "jan feb mar apr jun jul aug sep sept oct nov dec"
)
_MAY_STAND_LAST: Final = _set("etc inc co corp ltd jr sr bros dept est al")
_BEGINNERS: Final = _set(
    "a an the this that these those i he she it we you they there here his her its my our your "
    "their in on at for from with by as after before when while where if since although though "
    "however but and or so yet then thus now what who why how no not one some many most all each "
    "every both such"
)


def split_sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text, in order, without the white space around them.

    >>> split_sentences("Dr. Lee came at 3.15 p.m. She sat down. “Why?” he asked.")
    ('Dr. Lee came at 3.15 p.m.', 'She sat down.', '“Why?” he asked.')
    >>> split_sentences("他说：“好！”我们走了。天黑……了吗？")
    ('他说：“好！”', '我们走了。', '天黑……了吗？')
    """
    return tuple(text[start:end] for start, end in sentence_spans(text))


def sentence_spans(text: str) -> tuple[tuple[int, int], ...]:
    """The (start, end) of each sentence in characters, end exclusive, in order.

    >>> sentence_spans("One. Two?")
    ((0, 4), (5, 9))
    """
    found: list[tuple[int, int]] = []
    waiting: int | None = None  # where a piece without letters begins that goes with the next
    for start, end in _pieces(text):
        if _SAYS.search(text, start, end):
            found.append((start if waiting is None else waiting, end))
            waiting = None
        elif found:
            found[-1] = (found[-1][0], end)
        elif waiting is None:
            waiting = start
    if waiting is not None:
        found.append((waiting, len(text.rstrip())))
    return tuple(found)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Stretches between ends of sentences, none of them empty, without white space around."""
    start = 0
    for paragraph in (*_BREAK.finditer(text), None):
        stop = len(text) if paragraph is None else paragraph.start()
        for mark in _END.finditer(text, start, stop):
            if _ends(text, start, mark, stop):
                yield from _trimmed(text, start, mark.end())
                start = mark.end()
        yield from _trimmed(text, start, stop)
        start = stop if paragraph is None else paragraph.end()


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    bare = piece.strip()
    if bare:
        first = start + len(piece) - len(piece.lstrip())
        yield first, first + len(bare)


def _ends(text: str, start: int, mark: re.Match[str], stop: int) -> bool:
    """Whether a sentence that began at `start` ends with `mark`; `stop` ends the paragraph."""
    if _ALWAYS.search(mark[0]) or mark.end() >= stop:
        return True
    before = text[max(start, mark.start() - _LOOK_BACK) : mark.start()]
    if not text[mark.end()].isspace():
        elliptic = "…" in mark[0] or ".." in mark[0]
        if elliptic or _UNSPACED_BEFORE.search(before) is None:
            return False
        return _UNSPACED_NEXT.match(text, mark.end()) is not None
    between_words = _BETWEEN.match(text, mark.end(), stop)
    place = mark.end() if between_words is None else between_words.end()
    if place >= stop:
        return True
    if text[place].islower():
        return False
    return mark[0] != "." or not _abbreviates(text, before, place, whole=mark.start() - start)


def _abbreviates(text: str, before: str, place: int, *, whole: int) -> bool:
    """Whether a full stop ends a word only.

    `before` is what stands before it, cut short where that is longer than `_LOOK_BACK`; `whole` is
    the length of all of it; the next word begins at `place`.
    """
    if whole <= _LOOK_BACK and _ENUMERATOR.fullmatch(before):
        return True
    last = _INITIALS.search(before) or _LAST_WORD.search(before)
    if last is None:
        return False
    word = last[0].lower()
    if word in _TITLES:
        return True
    if word in _BEFORE_NUMBERS:
        return text[place].isdecimal()
    initial = len(word) == 1 and last[0].isupper() and last[0] != "I"
    if initial or "." in word or word in _MAY_STAND_LAST:
        return _goes_on(text, place)
    return False


def _goes_on(text: str, place: int) -> bool:
    """Whether the word at `place` isn't one that commonly begins a sentence, or is an initial."""
    word = _WORD.match(text, place)
    if word is None or word[0].lower() not in _BEGINNERS:
        return True
    return len(word[0]) == 1 and word[0] != "I" and text.startswith(".", word.end())
