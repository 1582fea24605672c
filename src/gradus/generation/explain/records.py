"""What is known of each place of a text."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["first", "prompt", "written", "next", "token", "gap"]


@dataclass(frozen=True, slots=True)
class Likely:
    """A token that may stand at a place.

    Attributes:
        token: as it is written, with its spaces.
        id: of the vocabulary.
        share: its probability, as the model has it.
        drawn: the probability that it was drawn with, after penalties, temperature and filters;
            None where nothing was drawn.
    """

    token: str
    id: int
    share: float
    drawn: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place of the text.

    Attributes:
        number: of the token, from 0.
        kind: ``first`` (nothing stands before it), ``prompt``, ``written`` (by the model) or
            ``next`` (what would follow); of a masked model ``token`` or ``gap``.
        token: what stands there; "" for what would follow, and for a gap.
        id: of that token; None where there is none.
        share: its probability; None where nothing was asked or there is none.
        rank: its place among all tokens, 1 for the most probable; None as above.
        entropy: of the distribution, in bits; None where nothing was asked.
        likely: the most probable tokens, the first one first; empty where nothing was asked.
    """

    number: int
    kind: Kind
    token: str = ""
    id: int | None = None
    share: float | None = None
    rank: int | None = None
    entropy: float | None = None
    likely: tuple[Likely, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A text with what a model expects at each place.

    Attributes:
        model: its name.
        sees: ``before`` for a causal model, ``both sides`` for a masked one.
        vocabulary: tokens that it chooses among.
        decoding: how it went on, in words; None where it didn't.
        positions: in the order of the text.
        ended: whether what it wrote came to an end by itself; None where it wrote nothing.
    """

    model: str
    sees: Literal["before", "both sides"]
    vocabulary: int
    decoding: str | None = None
    positions: tuple[Position, ...] = field(default=())
    ended: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)
