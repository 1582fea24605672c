"""Requests as OpenAI's clients send them, with a few settings of decoding beside OpenAI's own."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from gradus.serve.engines.order import MOST_CHOICES

_CONFIG: Final = ConfigDict(extra="forbid", strict=True)
SMALLEST: Final = 1e-4
"""Temperatures below it take the most probable token; divided by less, logits aren't finite."""

Text = Annotated[str, Field(max_length=1_000_000)]
Stop = Annotated[str, Field(min_length=1, max_length=1_000)]
Token = Annotated[int, Field(ge=0, le=2**31)]
# A text in a long list of tokens is one fault, and not one for each of a million places.
Tokens = Annotated[list[Token], Field(min_length=1, fail_fast=True)]


class StreamOptions(BaseModel):
    """What a stream holds beside pieces of text."""

    model_config = _CONFIG
    include_usage: bool = Field(False, description="A last chunk says how many tokens were used.")
    include_obfuscation: bool | None = Field(None, description="Has no effect.")


class Sampling(BaseModel):
    """What completions and chats have in common."""

    model_config = _CONFIG
    model: str = Field(description="The served model's name, see /v1/models.")
    n: int = Field(1, ge=1, le=MOST_CHOICES, description="Texts for each prompt.")
    temperature: float = Field(1.0, ge=0, le=2, description="0 takes the most probable token.")
    top_p: float = Field(1.0, ge=0, le=1)
    frequency_penalty: float = Field(0.0, ge=-2, le=2)
    presence_penalty: float = Field(0.0, ge=-2, le=2)
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: str | None = Field(None, description="Has no effect.")
    top_k: int | None = Field(None, ge=-1, description="0 and -1: no limit. Not OpenAI's.")
    min_p: float | None = Field(None, ge=0, le=1, description="Not OpenAI's.")
    typical_p: float | None = Field(None, gt=0, le=1, description="Not OpenAI's.")
    repetition_penalty: float | None = Field(None, gt=0, le=10, description="Not OpenAI's.")

    @property
    def settings(self) -> dict[str, Any]:
        """Fields of `gradus.generation.decoding.Decoding`; what says nothing is left out."""
        draws = self.temperature >= SMALLEST and self.top_p > 0
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        given = {
            "temperature": self.temperature if draws else 0.0,
            "top_p": self.top_p if draws and self.top_p < 1 else None,
            "top_k": self.top_k if self.top_k and self.top_k > 0 else None,
            "min_p": self.min_p or None,
            "typical_p": self.typical_p,
            "repetition_penalty": self.repetition_penalty,
            "frequency_penalty": self.frequency_penalty,
            "presence_penalty": self.presence_penalty,
            "stop": stop,
        }
        return {name: value for name, value in given.items() if value is not None}

    @property
    def seeded(self) -> int | None:
        """The seed as a number that isn't negative."""
        return None if self.seed is None else self.seed % 2**64


class CompletionRequest(Sampling):
    """Texts to go on with."""

    prompt: (
        Text
        | Annotated[list[Text], Field(min_length=1, max_length=MOST_CHOICES)]
        | Tokens
        | Annotated[list[Tokens], Field(min_length=1, max_length=MOST_CHOICES)]
    ) = Field(description="A text or several, or their token ids.")
    max_tokens: int | None = Field(16, ge=1)
    logprobs: int | None = Field(None, ge=0, le=20)
    echo: bool = Field(False, description="Give the prompt back before what was written.")
    best_of: int | None = Field(None, ge=1, description="Only as many as `n`.")

    @property
    def prompts(self) -> tuple[str | list[int], ...]:
        """One or several, each a text or token ids."""
        given: Any = self.prompt
        if isinstance(given, str) or (given and isinstance(given[0], int)):
            return (given,)
        return tuple(given)


class TextPart(BaseModel):
    """A part of a turn."""

    model_config = _CONFIG
    type: Literal["text"]
    text: Text


class Message(BaseModel):
    """One turn."""

    model_config = _CONFIG
    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[TextPart], Field(min_length=1, fail_fast=True)]
    name: str | None = Field(None, description="Has no effect.")

    @property
    def turn(self) -> tuple[str, str]:
        """Role and text as templates know them."""
        role = "system" if self.role == "developer" else self.role
        if isinstance(self.content, str):
            return role, self.content
        return role, "".join(part.text for part in self.content)


class ChatRequest(Sampling):
    """A conversation to reply to."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=10_000)]
    max_tokens: int | None = Field(None, ge=1, description="Older name of the next.")
    max_completion_tokens: int | None = Field(None, ge=1, description="512 by default.")
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=20)


class EmbeddingRequest(BaseModel):
    """Texts to turn into vectors."""

    model_config = _CONFIG
    model: str = Field(description="The served model's name, see /v1/models.")
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, description="Only the vectors' own width.")
    user: str | None = Field(None, description="Has no effect.")


class Anything(BaseModel):
    """An answer as OpenAI's API reference describes it."""

    model_config = ConfigDict(extra="allow")
    object: str
