"""What a request asks a language model for, between the routes and an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

MOST_CHOICES: Final = 128
"""Texts that one request may ask for."""
WHEN_UNSAID: Final = 512
"""Tokens of a reply at most, where the request doesn't say."""


class Impossible(Exception):
    """A request that can't be done, and what of it is to blame; nothing was written.

    Attributes:
        message: holds nothing of a text.
        param: the field of the request.
        code: a word that programs may look for.
    """

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message, self.param, self.code = message, param, code

    def to_json(self) -> dict[str, Any]:
        """What a part holds."""
        return {"message": self.message, "param": self.param, "code": self.code}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Prompts, and how they shall be gone on with.

    Attributes:
        prompts: each a text or its token ids.
        turns: instead of prompts, a conversation: role and text of each turn.
        n: texts for each prompt; a text's place is ``prompt * n + number``.
        max_tokens: of each; None for 512, or as many as there is room for.
        seed: None draws one.
        settings: fields of `gradus.generation.decoding.Decoding`, without those above.
        logprobs: how many of the likeliest tokens are told at each place; None for nothing.
        streams: whether parts are wanted as they come, or all at the end.
    """

    prompts: tuple[str | list[int], ...] = ()
    turns: tuple[tuple[str, str], ...] = ()
    n: int = 1
    max_tokens: int | None = None
    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    logprobs: int | None = None
    streams: bool = True

    def to_json(self) -> dict[str, Any]:
        """As a job's body."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """From a job's body."""
        turns = tuple((str(role), str(text)) for role, text in raw["turns"])
        return cls(**{**raw, "prompts": tuple(raw["prompts"]), "turns": turns})

    @property
    def field(self) -> str:
        """What the prompt is called in the request."""
        return "messages" if self.turns else "prompt"
