"""How text is written: the settings of decoding."""

from __future__ import annotations

import json
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Stop = Annotated[str, Field(min_length=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]

FILTERS: Final = ("top_k", "top_p", "min_p", "typical_p")
"""Settings that limit what is drawn from, in the order in which they are applied."""
PENALTIES: Final = ("repetition_penalty", "frequency_penalty", "presence_penalty")


class Decoding(BaseModel):
    """Settings of decoding; the defaults are greedy.

    Logits go through the penalties, the temperature and the filters, in this order; a filter sees
    the distribution that the one before has left.

    >>> Decoding(temperature=0.8, top_k=40, stop=["\\n"]).said
    'temperature 0.8, top-k 40, at most 64 tokens, stops at "\\\\n", seed 0'

    Attributes:
        max_tokens: tokens at most.
        temperature: logits are divided by it before one is drawn; 0 takes the most probable token.
        top_k: only the so many most probable tokens are drawn from (Fan et al. 2018).
        top_p: only the most probable tokens that together reach this probability are drawn from,
            after `top_k` (nucleus sampling, Holtzman et al. 2020).
        min_p: only tokens that are at least so probable as this share of the most probable one
            (Nguyen et al. 2024).
        typical_p: only the tokens whose surprise is nearest to the entropy and that together reach
            this probability (locally typical sampling, Meister et al. 2023).
        beams: so many texts are held at a time, and the one with the greatest log-likelihood is
            kept; 1 searches nothing. Nothing is drawn.
        length_penalty: of beams: a finished text's log-likelihood is divided by its tokens to the
            power of this; above 0 longer texts gain.
        repetition_penalty: of every token of the prompt and the text so far, the logit is divided
            by it where it is positive and multiplied where it is negative (Keskar et al. 2019).
        frequency_penalty: taken from a token's logit once for each time that it was written.
        presence_penalty: taken from the logit of each token that was written.
        stop: the text ends before the first of these.
        seed: of what is drawn. Each prompt has draws of its own, whatever stands beside it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_tokens: Annotated[int, Field(ge=1)] = 64
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    top_k: Annotated[int, Field(ge=1)] | None = None
    top_p: Share | None = None
    min_p: Share | None = None
    typical_p: Share | None = None
    beams: Annotated[int, Field(ge=1)] = 1
    length_penalty: Finite = 1.0
    repetition_penalty: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    frequency_penalty: Finite = 0.0
    presence_penalty: Finite = 0.0
    stop: tuple[Stop, ...] = ()
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _draws(self) -> Self:
        for name in FILTERS:
            if self.temperature == 0 and getattr(self, name) is not None:
                raise ValueError(
                    f"{name} limits what is drawn from, and at temperature 0 nothing is drawn: "
                    "set a temperature, or leave it out"
                )
        if self.beams > 1 and self.temperature > 0:
            raise ValueError(
                "beams look for the most probable text, and at a temperature tokens are drawn: "
                "leave one of the two out"
            )
        if self.beams == 1 and self.length_penalty != 1:
            raise ValueError("length_penalty compares beams: set beams, or leave it out")
        return self

    @property
    def greedy(self) -> bool:
        """Whether the most probable token is taken each time."""
        return self.temperature == 0 and self.beams == 1

    @property
    def draws(self) -> bool:
        """Whether tokens are drawn."""
        return self.temperature > 0

    @property
    def penalises(self) -> bool:
        """Whether a token's logit depends on what was written before."""
        return (self.repetition_penalty, self.frequency_penalty, self.presence_penalty) != (1, 0, 0)

    @property
    def said(self) -> str:
        """The settings in words, as a measurement's contract keeps them."""
        parts = [self._way]
        for name in FILTERS:
            value = getattr(self, name)
            parts += [f"{name[:-2]}-{name[-1]} {value:g}"] if value is not None else []
        for name in PENALTIES:
            value = getattr(self, name)
            if value != type(self).model_fields[name].default:
                parts.append(f"{name.replace('_', ' ')} {value:g}")
        parts.append(f"at most {self.max_tokens} token{'s' if self.max_tokens > 1 else ''}")
        parts += ["stops at " + " or ".join(map(json.dumps, self.stop))] if self.stop else []
        parts += [f"seed {self.seed}"] if self.draws else []
        return ", ".join(parts)

    @property
    def _way(self) -> str:
        if self.draws:
            return f"temperature {self.temperature:g}"
        if self.beams == 1:
            return "greedy"
        return f"{self.beams} beams, length penalty {self.length_penalty:g}"
