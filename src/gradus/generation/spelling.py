"""Text that a model wrote, as a terminal or a table may show it."""

from __future__ import annotations

import unicodedata
from typing import Final

# What turns the direction of the text behind it.
_TURNS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def spelt(token: str) -> str:
    """A token on one line, spaces and control characters made visible.

    >>> spelt(" a\\n")
    '\u2423a\\\\n'
    """
    return visible(token).replace(" ", "\u2423").replace("\n", "\\n").replace("\t", "\\t")


def visible(text: str) -> str:
    """Text that a terminal may show: control characters but line ends and tabs are spelt out.

    >>> visible("a\\x1b[2J")
    'a\\\\x1b[2J'
    """
    return "".join(_escaped(char) if _moves(char) else char for char in text)


def _moves(char: str) -> bool:
    """Whether a character acts on the terminal rather than being shown."""
    return char in _TURNS or (char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cs"))


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
