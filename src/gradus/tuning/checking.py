"""A step's mapping with spaces, checked with every value that stands for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError as Invalid
from pydantic_core import InitErrorDetails

from gradus.errors import GradusError
from gradus.steps.inner import read_step
from gradus.tuning.space import Place, Space, fill, spaces_in


def first(inner: dict[str, Any], own: Sequence[Space]) -> dict[str, Any]:
    """The step with the first value of every space."""
    made: dict[str, Any] = fill(inner, {one.place: one.examples()[0][1] for one in own})
    return made


def variants(inner: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The step with the first value of every space, then with each other value of each in turn;
    with the place of that value as a person writes it."""
    own, _ = spaces_in(inner)
    base = first(dict(inner), own)
    yield "", base
    for one in own:
        for (kind, index), value in one.examples()[1:]:
            yield f"{one.name}.{kind}[{index}]", fill(base, {one.place: value})


def inner_faults(inner: Any) -> Iterator[InitErrorDetails]:
    """Every fault of the inner step: of its spaces, and of its config with each of their values."""
    own, wrong = spaces_in(inner)
    for place, message in wrong:
        yield _fault(message, ("inner", *place), inner)
    if wrong:
        return
    if not isinstance(inner, Mapping):
        yield InitErrorDetails(type="dict_type", loc=("inner",), input=inner)
        return
    if not own:
        yield _fault("has no space to search, e.g. lr: {log: [1.0e-5, 1.0e-3]}", ("inner",), inner)
        return
    base = first(dict(inner), own)
    seen: set[tuple[Place, str]] = set()
    firsts = {one.place: one.examples()[0] for one in own}
    tries: list[tuple[Any, dict[Place, tuple[Place, Any]]]] = [(base, firsts)]
    for one in own:
        tries += [
            (fill(base, {one.place: e[1]}), {**firsts, one.place: e}) for e in one.examples()[1:]
        ]
    for step, chosen in tries:
        try:
            read_step(step)
        except (Invalid, GradusError) as error:
            for place, message, value in _read_faults(error):
                known = not message.startswith("unknown key")
                at = _in_plan(place, chosen) if known else place
                if (at, message) not in seen:
                    seen.add((at, message))
                    yield _fault(message, ("inner", *at), value)


def _read_faults(error: Invalid | GradusError) -> list[tuple[Place, str, Any]]:
    if isinstance(error, GradusError):
        return [((), str(error), None)]
    found = []
    for detail in error.errors(include_url=False):
        message = detail["msg"].removeprefix("Value error, ")
        found.append((detail["loc"], message[:1].lower() + message[1:], detail["input"]))
    return found


def _in_plan(place: Place, chosen: Mapping[Place, tuple[Place, Any]]) -> Place:
    """Where a fault of a trial's step stands in the plan: below the space whose value it is."""
    for space, (below, _) in chosen.items():
        if place[: len(space)] == space:
            return (*space, *below, *place[len(space) :])
    return place


def _fault(message: str, place: Place, value: Any) -> InitErrorDetails:
    error = ValueError(message)
    return InitErrorDetails(type="value_error", loc=place, input=value, ctx={"error": error})
