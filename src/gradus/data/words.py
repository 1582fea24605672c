"""Where the words of a text are, when nobody says: one rule for reading spans and finding them.

The rule, `RULE`, after Unicode Standard Annex #29 (word boundaries), made finer so that spans
seldom begin or end inside a word:

1. Letters, digits and underscores without anything between them are one word, with the combining
   marks that follow them, and with format characters (zero-width joiners) in their midst.
2. A full stop between two letters or digits stays inside the word, and so does a comma between two
   digits: ``U.N``, ``3.5``, ``10,000``.
3. Single letters that each have a full stop, at least two of them, are one word up to the last
   full stop: ``U.N.``, ``J.R.R.``.
4. A character of a script that is written without spaces (Han, kana, Thai, Lao, Khmer, Burmese) is
   a word of its own, with its combining marks.
5. So is every other character that is neither white space nor a control or format character:
   hyphens, apostrophes, punctuation, symbols.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

RULE: Final = "words.v1"

UNSPACED: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # kana
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han, compatibility
    (0xFF66, 0xFF9F),  # kana, half width
    (0x20000, 0x3FFFF),  # Han, extensions B and later
)


class _Classes(dict[int, str]):
    """Code point -> one letter that says what it is; filled as characters are met.

    ``a`` letter or underscore, ``d`` digit, ``c`` letter of a script without spaces, ``m``
    combining mark, ``f`` format character, ``s`` white space or control character, full stop and
    comma themselves, ``o`` any other.
    """

    def __missing__(self, code: int) -> str:
        self[code] = found = _class(chr(code))
        return found


def _class(character: str) -> str:
    category = unicodedata.category(character)
    if character in ".,":
        return character
    if character.isspace() or category == "Cc":
        return "s"
    if category == "Cf":
        return "f"
    if category[0] == "M":
        return "m"
    if category[0] == "N":
        return "d"
    if category[0] == "L" or character == "_":
        unspaced = any(low <= ord(character) <= high for low, high in UNSPACED)
        return "c" if unspaced else "a"
    return "o"


_CLASSES: Final = _Classes()
_WORD: Final = re.compile(
    r"(?:am*\.){2,}(?![ad])"  # initials
    r"|[ad](?:f*[adm]|\.(?=[ad])|(?<=d),(?=d))*"
    r"|[com.,](?:f*m)*"
)


def find_words(text: str) -> tuple[tuple[int, int], ...]:
    """The (start, end) of each word in characters, end exclusive, in order.

    >>> text = "U.N. aid-worker's 3.5 %"
    >>> [text[start:end] for start, end in find_words(text)]
    ['U.N.', 'aid', '-', 'worker', "'", 's', '3.5', '%']
    """
    return tuple(match.span() for match in _WORD.finditer(text.translate(_CLASSES)))
