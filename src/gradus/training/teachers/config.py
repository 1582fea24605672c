"""What a plan may say of teachers. Imports nothing heavy: a plan is checked with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

Weighting = Literal["fixed", "learned", "agreement", "confidence"]
"""How several teachers are mixed.

``fixed``: by the plan's weights, the same for every row. ``learned``: the weights are the softmax
of parameters, which begin at the plan's weights and minimise the mixture's cross-entropy of the
gold labels of train while the student trains. ``agreement``: at each row the plan's weight times
the probability that a teacher gives to the gold label; rows without one take the plan's weights.
``confidence``: at each row the plan's weight times exp(-H), H the entropy of what the teacher says
of it in nats, so that a teacher counts by the inverse of the number of labels it hesitates
between.
"""

Teachers = (
    str
    | Annotated[tuple[str, ...], Field(min_length=1)]
    | Annotated[dict[str, Annotated[float, Field(gt=0)]], Field(min_length=1)]
)
"""One name, several, or names with weights in any unit."""


def shares(teachers: str | tuple[str, ...] | Mapping[str, float]) -> dict[str, float]:
    """Teacher -> weight, together 1, in the plan's order.

    >>> shares({"large": 3, "small": 1})
    {'large': 0.75, 'small': 0.25}

    Raises:
        ValueError: a teacher stands there twice.
    """
    if isinstance(teachers, str):
        return {teachers: 1.0}
    if not isinstance(teachers, Mapping):
        again = {name for name in teachers if teachers.count(name) > 1}
        if again:
            raise ValueError(f"teacher '{min(again)}' stands there twice")
        teachers = dict.fromkeys(teachers, 1.0)
    whole = sum(teachers.values())
    return {name: weight / whole for name, weight in teachers.items()}
