"""How far a child may stray from its parent, and how far it did. Imports nothing heavy.

Legend: m rows (texts, words or tokens), K outputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from gradus.records import Answer, Record, Verdict

MEASURES: Final = ("max_logit", "mean_logit", "kl", "flips")
TEST: Final = "hand-off parity"


class Bounds(BaseModel):
    """The most that a child may stray; a bound that isn't named is the hand-off's own.

    An explicit null takes a bound away, so that the number is only reported.

    Attributes:
        max_logit: greatest difference of a logit; of logits relative to their row's mean, since a
            constant added to a row says nothing. Of numbers: greatest difference, in their unit.
        mean_logit: mean absolute difference of the same.
        kl: mean of KL(parent || child) over the rows, in nats.
        flips: share of rows whose most probable label differs, 0 to 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    max_logit: float | None = Field(default=None, ge=0)
    mean_logit: float | None = Field(default=None, ge=0)
    kl: float | None = Field(default=None, ge=0)
    flips: float | None = Field(default=None, ge=0, le=1)

    @model_serializer(mode="wrap")
    def _as_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A resolved plan holds every default; here what isn't named is another's to say.
        return {name: v for name, v in handler(self).items() if name in self.model_fields_set}

    def over(self, default: Bounds) -> Bounds:
        """These bounds where they are named, `default`'s elsewhere."""
        return Bounds(**{**default.model_dump(), **self.model_dump()})

    def named(self) -> dict[str, float]:
        """The bounds that there are, by what they bound."""
        return {name: float(v) for name in MEASURES if (v := getattr(self, name)) is not None}


EXACT: Final = Bounds(max_logit=1e-3, kl=1e-6, flips=0.0)
"""The same arithmetic in another place: float32 exported, merged, or loaded by another engine."""

LOSSY: Final = Bounds(kl=0.05, flips=0.05)
"""Weights or activations were rounded, so that what remains is for tests of quality to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity(Record):
    """What a hand-off did to the outputs on fixed items, and how much it was allowed to.

    Attributes:
        handoff: what was done, in a word or two: ``export``, ``merge``, ``int8``, ``llama.cpp``.
        rows: m, of how many rows it is said.
        unit: what a row is: ``texts``, ``words``, ``tokens``, or ``rows`` of a head.
        max_logit, mean_logit, kl, flips: see `Bounds`; None where it isn't defined (numbers have
            neither divergence nor label), infinite or NaN as it comes.
        bounds: by measure, what is allowed; see `Bounds`.
    """

    handoff: str
    rows: int
    unit: str = "texts"
    max_logit: float | None = None
    mean_logit: float | None = None
    kl: float | None = None
    flips: float | None = None
    bounds: Mapping[str, float] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every bound is kept; a number that is missing or NaN keeps none."""
        return not self.strayed

    @property
    def strayed(self) -> tuple[str, ...]:
        """The measures whose bound isn't kept."""
        return tuple(name for name in self.bounds if not self._kept(name))

    def to_json(self) -> dict[str, Any]:
        """As every record's; JSON has neither NaN nor infinity, so that such a number is None."""
        raw = Record.to_json(self)
        return {name: None if _wild(value) else value for name, value in raw.items()}

    def under(self, bounds: Bounds) -> Parity:
        """The same numbers under a plan's bounds; those it doesn't name stay."""
        return replace(self, bounds=bounds.over(Bounds(**self.bounds)).named())

    def verdicts(self) -> list[Verdict]:
        """One verdict for each bound: open or closed. It is no test, so it takes no error.

        The items are fixed and the numbers exact: another run gives the same.
        """
        return [self._verdict(name, bound) for name, bound in self.bounds.items()]

    def _verdict(self, name: str, bound: float) -> Verdict:
        found, kept = getattr(self, name), self._kept(name)
        value = None if _wild(found) else found
        more = (
            f", more than the {bound:g} allowed: hand over in another way, or say under 'parity:' "
            "in the step what it may stray"
        )
        shown = "isn't a finite number" if value is None else f"{value:.3g}"
        return Verdict(
            gate=f"{self.handoff}: {name} <= {bound:g}",
            verdict=Answer.OPEN if kept else Answer.CLOSED,
            why=f"{name} {shown} on {self.rows:,} fixed {self.unit}{'' if kept else more}",
            test=TEST,
            value=value,
            reference=bound,
            n=self.rows,
        )

    def _kept(self, name: str) -> bool:
        value = getattr(self, name)
        return value is not None and value <= self.bounds[name]


def _wild(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
