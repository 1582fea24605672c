"""What a word looks like: capitals, digits, punctuation. An uncased encoder doesn't see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SHAPELESS: Final = 0
SHAPES: Final = (
    "none",  # special tokens and what isn't a word
    "lower",  # cased, in lower case
    "initial",  # one capital, at the beginning: Brussels, German-born
    "capital",  # a single letter, as in initials
    "capitals",  # NATO, U.N.
    "shouted",  # capitals in a text that has no lower case at all, where they say little
    "mixed",  # capitals inside: McDonald
    "uncased",  # letters of a script without case
    "number",  # digits and what stands between them
    "code",  # digits and capitals
    "digits",  # digits and other letters
    "punctuation",  # neither letters nor digits
)
_NUMBER: Final = {name: i for i, name in enumerate(SHAPES)}


def shapes_of(words: Sequence[str]) -> list[int]:
    """The shapes of a text's words, as indices into `SHAPES`.

    >>> [SHAPES[s] for s in shapes_of(["NATO", "met", "in", "Brussels", "."])]
    ['capitals', 'lower', 'lower', 'initial', 'punctuation']
    """
    found = [_shape(word) for word in words]
    if any(name in ("lower", "initial", "mixed") for name in found):
        return [_NUMBER[name] for name in found]
    return [_NUMBER["shouted" if name == "capitals" else name] for name in found]


def _shape(word: str) -> str:
    if word.islower() and word.isalpha():
        return "lower"
    letters = [c for c in word if c.isalpha()]
    digits = any(c.isnumeric() and not c.isalpha() for c in word)
    capitals = [c.isupper() or c.istitle() for c in letters]
    if not letters:
        return "number" if digits else "punctuation"
    if digits:
        return "code" if any(capitals) else "digits"
    if not any(capitals):
        return "lower" if any(c.islower() for c in letters) else "uncased"
    if all(capitals):
        return "capital" if len(letters) == 1 else "capitals"
    return "initial" if capitals[0] and sum(capitals) == 1 else "mixed"
