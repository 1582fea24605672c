"""What one of many texts that are written at a time is asked for, and how it comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from gradus.generation.decoding import Decoding

Finish = Literal["stop", "length"]
"""Why a text ended: an end token or a stop string, or the greatest number of tokens."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One text that shall be written.

    Attributes:
        ids: the prompt's tokens, at least one.
        settings: how; beams aren't searched.
        seed: of what is drawn, in [0, 2^64), as `gradus.generation.base.seed_of` makes it.
        top: how many of the likeliest tokens are told at each place; 0 for the written one alone,
            None for nothing.
    """

    ids: tuple[int, ...]
    settings: Decoding
    seed: int
    top: int | None = None

    @property
    def needs(self) -> int:
        """Tokens whose keys and values are held in the end."""
        return len(self.ids) + self.settings.max_tokens


class Said(NamedTuple):
    """One token of a text and what the model thought of it.

    Attributes:
        id: the token.
        nats: its log-probability, before temperature, penalties and filters.
        top: the likeliest tokens and theirs, the likeliest first.
        start: characters of the text before it.
    """

    id: int
    nats: float
    top: tuple[tuple[int, float], ...]
    start: int


class Piece(NamedTuple):
    """What is new of a text; all pieces together are the text.

    Attributes:
        text: no half character, no half stop string.
        tokens: how many were written so far, the one that ends the text aside.
        finish: why the text ended; None while it goes on.
        said: the tokens whose text this is, where they were asked for.
    """

    text: str
    tokens: int
    finish: Finish | None = None
    said: tuple[Said, ...] = ()
