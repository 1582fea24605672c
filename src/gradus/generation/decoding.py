"""How text is written: the settings of decoding."""

from __future__ import annotations

import json
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Stop = Annotated[str, Field(min_length=1)]


class Decoding(BaseModel):
    """Settings of decoding; the defaults are greedy.

    >>> Decoding(temperature=0.8, top_k=40, stop=["\\n"]).said
    'temperature 0.8, top-k 40, at most 64 tokens, stops at "\\\\n", seed 0'

    Attributes:
        max_tokens: tokens at most.
        temperature: logits are divided by it before one is drawn; 0 takes the most probable token.
        top_k: only the so many most probable tokens are drawn from.
        top_p: only the most probable tokens that together reach this probability are drawn from,
            after `top_k` (nucleus sampling, Holtzman et al. 2020).
        stop: the text ends before the first of these.
        seed: of what is drawn. Each prompt has draws of its own, whatever stands beside it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_tokens: Annotated[int, Field(ge=1)] = 64
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    top_k: Annotated[int, Field(ge=1)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: tuple[Stop, ...] = ()
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _draws(self) -> Self:
        for name in ("top_k", "top_p"):
            if self.temperature == 0 and getattr(self, name) is not None:
                raise ValueError(
                    f"{name} limits what is drawn from, and at temperature 0 nothing is drawn: "
                    "set a temperature, or leave it out"
                )
        return self

    @property
    def greedy(self) -> bool:
        """Whether the most probable token is taken each time."""
        return self.temperature == 0

    @property
    def said(self) -> str:
        """The settings in words, as a measurement's contract keeps them."""
        parts = ["greedy" if self.greedy else f"temperature {self.temperature:g}"]
        parts += [f"top-k {self.top_k}"] if self.top_k is not None else []
        parts += [f"top-p {self.top_p:g}"] if self.top_p is not None else []
        parts.append(f"at most {self.max_tokens} token{'s' if self.max_tokens > 1 else ''}")
        parts += ["stops at " + " or ".join(map(json.dumps, self.stop))] if self.stop else []
        parts += [] if self.greedy else [f"seed {self.seed}"]
        return ", ".join(parts)
