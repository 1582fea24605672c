"""What somebody says to a language model, and what it shall reply."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import Final, Self

_LENGTH: Final = re.compile(r"(\.\d+)?")
Turn = tuple[str, str]
"""Who speaks, one of `ROLES`, and what is said."""

ROLES: Final = ("system", "user", "assistant")


class Conversation(str):
    """Turns before a reply, where there is more to them than one question.

    As a string it is all turns with their roles before them, which is what hashes, audits and
    reports see; a chat template gets the turns apart. A single question is a plain string.

    >>> Conversation([("system", "Be brief."), ("user", "Who wrote Emma?")])
    'system: Be brief.\\n\\nuser: Who wrote Emma?'
    """

    turns: tuple[Turn, ...]

    def __new__(cls, turns: Sequence[Turn]) -> Self:
        """The conversation of `turns`."""
        made = super().__new__(cls, "\n\n".join(f"{role}: {said}" for role, said in turns))
        made.turns = tuple((str(role), str(said)) for role, said in turns)
        return made

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[Turn, ...]]]:
        """What `copy` and `pickle` make it again from."""
        return type(self), (self.turns,)


class Reply(str):
    """What shall be replied: a text that is no label's name."""

    __slots__ = ()


def turns_of(text: str) -> tuple[Turn, ...]:
    """The turns of a prompt; a plain string is one question.

    >>> turns_of("Who wrote Emma?")
    (('user', 'Who wrote Emma?'),)
    """
    return text.turns if isinstance(text, Conversation) else (("user", str(text)),)


def check_prompt(template: str) -> str:
    """A template unchanged, if it holds ``{text}`` once, perhaps as ``{text:.600}``.

    The number after the point is how many characters of the text are kept, as Python's format
    specification has it.

    Raises:
        ValueError: it holds anything else in braces, or no text.
    """
    fields = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
    for name, spec, conversion in fields:
        if name != "text" or conversion or not _LENGTH.fullmatch(spec or ""):
            shown = f"{name}:{spec}" if spec else name
            raise ValueError(
                f"{{{shown}}} stands for nothing: write {{text}}, or "
                "{text:.600} for its first 600 characters"
            )
    if len(fields) != 1:
        raise ValueError(f"{{text}} must stand in it once, not {len(fields)} times")
    return template
