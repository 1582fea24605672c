"""A step's mapping with spaces, checked with every value that stands for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError as Invalid
from pydantic_core import InitErrorDetails

from gradus import registry
from gradus.errors import GradusError, unknown
from gradus.steps.inner import COSTS, needs_of, overall_metrics, produces_of, read_step
from gradus.tuning.space import Place, Space, fill, spaces_in


def first(inner: dict[str, Any], own: Sequence[Space]) -> dict[str, Any]:
    """The step with the first value of every space."""
    made: dict[str, Any] = fill(inner, {one.place: one.examples()[0][1] for one in own})
    return made


def variants(inner: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The step with the first value of every space, then with each other value of each in turn;
    with the place of that value as a person writes it."""
    own, _ = spaces_in(inner)
    firsts = {one.place: one.examples()[0][1] for one in own}
    yield "", fill(dict(inner), firsts)
    for one in own:
        for (kind, index), value in one.examples()[1:]:
            made = fill(dict(inner), {**firsts, one.place: value})
            yield f"{one.name}.{kind}[{index}]", made


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
    seen: set[tuple[Place, str]] = set()
    firsts = {one.place: one.examples()[0] for one in own}
    tries = [firsts]
    for one in own:
        tries += [{**firsts, one.place: example} for example in one.examples()[1:]]
    for chosen in tries:
        step = fill(dict(inner), {place: value for place, (_, value) in chosen.items()})
        try:
            read_step(step)
        except (Invalid, GradusError) as error:
            for place, message, value in _read_faults(error):
                known = not message.startswith("unknown key")
                at = _in_plan(place, chosen) if known else place
                if (at, message) not in seen:
                    seen.add((at, message))
                    yield _fault(message, ("inner", *at), value)


def check_objectives(inner: Mapping[str, Any], names: Sequence[str], *, pruned: bool) -> None:
    """Whether a trial may have these values, as far as that shows before one is trained.

    What a step without a data set puts into its curves shows at the end of the first trial.

    Raises:
        ValueError: it can't, with what there is.
    """
    step = read_step(inner)
    needs, produced = needs_of(step), produces_of(step)
    if needs.either and not needs.data:
        return  # a data set or a corpus: the plan knows
    known = {*(produced & overall_metrics()), *COSTS}
    followed = _followed() & known
    for name in names:
        if name in COSTS and not needs.data:
            raise ValueError(f"objectives: {name} is taken on a data set; the step names none")
        if name in COSTS or not needs.data:
            continue
        if name not in known:
            raise ValueError(f"objectives: {unknown('objective', name, known)}")
        if pruned and name not in followed:
            raise ValueError(
                f"pruner: {name} isn't known at the end of a stage; there are "
                f"{', '.join(sorted(followed))}"
            )


def _followed() -> frozenset[str]:
    """The metrics that curves follow, of data with any target."""
    found = [registry.load("benchmarks", name) for name in registry.names("benchmarks")]
    return frozenset(metric for one in found if one.target for metric in one.compared)


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
