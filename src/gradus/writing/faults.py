"""Sentences that can't stand as they are, by their surface: English and Chinese.

A stated proxy for grammar, `RULE`: no model is asked and no word is looked up. It finds what a poor
writer does often and a good one hardly ever, and no more than that: a sentence without a fault may
be ungrammatical, and verse, dialect or a list has faults that aren't. A share of faulty sentences
therefore says something only beside the same share of what people wrote. The faults:

``unended``      no mark at the end that ends a sentence
``marks``        marks in a row that don't go together (``, ,``, ``，。``), or one at the beginning
``brackets``     a bracket that isn't closed, or closed without having been opened
``doubled``      the same word twice in a row; in Chinese a particle or preposition
``clash``        two words that don't follow one another (``the of``, ``would is``, ``的们``)
``hanging``      a last word that needs another behind it (``the.``, ``and.``, ``因为。``)
``letters``      no letters at all, no vowel in a word, a letter or character in a long row, scripts
                 or digits within a word, characters that couldn't be decoded
``loop``         three words in a row, three times; in Chinese five characters
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

RULE: Final = "faults.v1"

_HAN: Final = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_ANY_HAN: Final = re.compile(f"[{_HAN}]")
_ENDED: Final = re.compile(r"[.!?…。！？｡:：;；—–-][\s\"'”’»›)\]}」』）】》〉*_]*\Z")
_MARKS: Final = re.compile(
    r"[,;:，；：、]\s*[,;:.，；：。、]"  # a mark that parts, and another
    r"|(?<!\.)(?<!\.\s)\.\s+\.(?!\s*\.)|[。！？]\s*[，；：、]"
    r"|\A\s*[,;:.!?，；：。、！？](?!\.)"
)
_OPENING: Final = dict(zip(")]}）】》」』", "([{（【《「『", strict=True))
_ENUMERATED: Final = re.compile(r"(?:\A|\s)\(?(?:\d{1,3}|[a-z]|[ivx]+)\)")
_SMILEY: Final = re.compile(r"[:;=]-?[()]")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORD: Final = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*['’]?")
_MAY_DOUBLE: Final = _set(
    "had that very so no ha ho hey bye well now there never many much more far long really too "
    "oh ah la na yes ay come go out up on in her his as is do you it one two"
)
_DETERMINERS: Final = _set("the a every my our your their its")
_NEVER_BEHIND_DETERMINERS: Final = _set(
    "the a an of and or is are was were am be been has had he she it we they him me us them my "
    "our your their its this these those to at from into unto upon than if because"
)
_MODALS: Final = _set("would should could shall cannot ought")
_NEVER_BEHIND_MODALS: Final = _set("is are was were am of has had shall would should could than")
_PAIRS: Final = frozenset(
    {("to", "of"), ("of", "is"), ("of", "are"), ("of", "was"), ("to", "was"), ("to", "were")}
    | {("to", "is"), ("to", "are"), ("is", "was"), ("are", "is"), ("was", "is")}
    | {("be", "is"), ("be", "was"), ("i", "is"), ("i", "are"), ("he", "am"), ("she", "am")}
    | {("it", "am"), ("they", "is"), ("they", "am"), ("we", "is"), ("we", "am")}
)
_HANGING: Final = _set("the a an and or nor our your their every because if than although unless")
_ROMAN: Final = re.compile(r"[ivxlcdm]+")
_VOWEL: Final = re.compile(r"[aeiouyàâäáãåæèéêëìíîïòóôöõøùúûüýœ]")
_NO_VOWEL: Final = _set(
    "hmm hmmm hm shh shhh sh pst psst brr brrr grr grrr mmm tsk nth st nd rd th www html http "
    "https mph"
)
_LONG_ROW: Final = re.compile(r"([^\W\d_])\1{2,}")
_MIXED: Final = re.compile(r"[a-z]{2,}\d+[a-z]+|\d+[a-z]{4,}\d*")
_UNDECODED: Final = re.compile("[\ufffd\ud800-\udfff\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]")

_DOUBLED_HAN: Final = re.compile(
    r"(?<![目标])的的(?!确)|(?<![不目时])了了|是是(?!非)|(?<!自)在在|和和(?![气美睦])|把把|被被|与与|及及|就就|也也|而而|但但|于于"
)
_CLASH_HAN: Final = re.compile("的们|了们|很的|把被|被把|但的|而的")
_HANGING_HAN: Final = re.compile(
    r"(?:因为|虽然|如果|由于|对于|关于|以及|并且|而且|或者|非常|但是|然而|所以|为了)"
    r"[。！？.!?”」』\s]*\Z"
)
_LONG_ROW_HAN: Final = re.compile(rf"([{_HAN}])\1{{3,}}")
_LAUGHS: Final = frozenset("哈呵嘿嘻啊呀哦嗯唉哇咚滴嗒轰")
_WORDS_OF_LOOP: Final = 3
_CHARACTERS_OF_LOOP: Final = 5
_ROUNDS: Final = 3


def faults(sentence: str) -> tuple[str, ...]:
    """The faults of a sentence by their names, in the order of `RULE`; () where none is found.

    >>> faults("He gave it to the of, , and the."), faults("He gave it to the king.")
    (('marks', 'clash', 'hanging'), ())
    >>> faults("因为他的的钱，。"), faults("他有钱。")
    (('marks', 'doubled'), ())
    """
    return tuple(name for name, holds in _FAULTS.items() if holds(sentence.strip()))


def unended(sentence: str) -> bool:
    """Whether no mark ends it."""
    return _ENDED.search(sentence) is None


def _marks(sentence: str) -> bool:
    return _MARKS.search(_SMILEY.sub("", sentence)) is not None


def _brackets(sentence: str) -> bool:
    open_: list[str] = []
    for one in _SMILEY.sub("", _ENUMERATED.sub(" ", sentence)):
        if one in _OPENING.values():
            open_.append(one)
        elif one in _OPENING and (not open_ or open_.pop() != _OPENING[one]):
            return True
    return bool(open_)


def _neighbours(sentence: str) -> list[tuple[str, str]]:
    """Words in lower case with nothing but spaces between them; not what is all capitals (US)."""
    found = list(_WORD.finditer(sentence))
    return [
        (one[0].lower(), two[0].lower())
        for one, two in pairwise(found)
        if sentence[one.end() : two.start()].isspace()
        and not (two[0].isupper() and len(two[0]) > 1)
    ]


def _doubled(sentence: str) -> bool:
    if _DOUBLED_HAN.search(sentence):
        return True
    return any(one == two and one not in _MAY_DOUBLE for one, two in _neighbours(sentence))


def _clash(sentence: str) -> bool:
    if _CLASH_HAN.search(sentence):
        return True
    return any(
        (one in _DETERMINERS and two in _NEVER_BEHIND_DETERMINERS)
        or (one in _MODALS and two in _NEVER_BEHIND_MODALS)
        or (one, two) in _PAIRS
        for one, two in _neighbours(sentence)
        if one != two
    )


def _hanging(sentence: str) -> bool:
    if _HANGING_HAN.search(sentence):
        return True
    words = _WORD.findall(sentence)
    # Dashes and dots may break a sentence off on purpose.
    broken_off = re.search(r"(?:[—–…-]|\.\.)\W*\Z", sentence)
    return len(words) > 1 and not broken_off and words[-1] != "A" and words[-1].lower() in _HANGING


def _letters(sentence: str) -> bool:
    if _UNDECODED.search(sentence) or not re.search(r"[^\W\d_]", sentence):
        return True
    if any(match[1] not in _LAUGHS for match in _LONG_ROW_HAN.finditer(sentence)):
        return True
    return any(map(_is_garbled, _WORD.findall(sentence)))


def _is_garbled(word: str) -> bool:
    small = word.lower()
    if _ROMAN.fullmatch(small) or small in _NO_VOWEL or _ANY_HAN.search(small):
        return False
    if _MIXED.search(small) or _LONG_ROW.search(small):
        return True
    plain = len(word) > 3 and word.isascii() and word.isalpha() and word[1:].islower()
    return plain and not _VOWEL.search(small)


def _loop(sentence: str) -> bool:
    if _ANY_HAN.search(sentence):
        return _repeats(re.findall(f"[{_HAN}]", sentence), _CHARACTERS_OF_LOOP)
    return _repeats(sentence.lower().split(), _WORDS_OF_LOOP)


def _repeats(parts: Sequence[str], size: int) -> bool:
    grams = Counter(zip(*(parts[place:] for place in range(size)), strict=False))
    return max(grams.values(), default=0) >= _ROUNDS


_FAULTS: Final[dict[str, Callable[[str], bool]]] = {
    "unended": unended,
    "marks": _marks,
    "brackets": _brackets,
    "doubled": _doubled,
    "clash": _clash,
    "hanging": _hanging,
    "letters": _letters,
    "loop": _loop,
}
