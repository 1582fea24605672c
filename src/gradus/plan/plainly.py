"""Validation by pydantic, its errors in plain words and at their place in the plan."""

from __future__ import annotations

import copy
import re
import types
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Final, Generic, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gradus.errors import GradusError, unknown
from gradus.plan.faults import Faults, TreePath, walk

M = TypeVar("M", bound=BaseModel)

_TYPES: Final = {
    "int": "a whole number",
    "float": "a number",
    "string": "a text",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen_set": "a list",
    "dict": "a mapping",
    "mapping": "a mapping",
    "model": "a mapping",
    "dataclass": "a mapping",
    "path": "a path",
    "none": "null",
}
_LENGTHS: Final = {
    "too_short": ("at least", "min_length"),
    "too_long": ("at most", "max_length"),
}
_QUOTED: Final = re.compile("'([^']*)'")
_BOUNDS: Final = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
    "multiple_of": ("multiple_of", "a multiple of"),
}


@dataclass(frozen=True, slots=True)
class Validated(Generic[M]):
    """What became of a part of the plan.

    `config` is None when there were faults. `sound` is the config of what remains once the faulty
    values are taken out, so that the names in it can still be checked; None when nothing does.
    """

    config: M | None
    sound: M | None


def describe(value: Any) -> str:
    """What a value is, in words.

    >>> describe("fast"), describe(3), describe([1]), describe(None)
    ("the text 'fast'", 'the number 3', 'a list', 'null')
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {str(value)[:40]}" if abs(value) < 1e300 else "a huge number"
        case str():
            return f"the text '{value if len(value) <= 40 else value[:37] + '...'}'"
        case Mapping():
            return "a mapping"
        case _:
            return "a list"


def validate(model: type[M], raw: Any, path: TreePath, faults: Faults) -> Validated[M]:
    """`raw`, which stands at `path`, as a `model`; every fault of it is added to `faults`."""
    try:
        config = model.model_validate(raw)
    except ValidationError as error:
        details = error.errors(include_url=False)
    except GradusError as error:
        faults.add(path, str(error))
        return Validated(None, None)
    else:
        booleans = list(_booleans_as_numbers(raw, config.model_dump(by_alias=True)))
        for place, value in booleans:
            faults.add((*path, *place), f"should be a number, is {describe(value)}")
        return Validated(None if booleans else config, config)
    for place, message in _told(model, raw, details):
        faults.add((*path, *place), message)
    return Validated(None, _what_remains(model, raw, details))


def _booleans_as_numbers(raw: Any, read: Any) -> Iterator[tuple[TreePath, bool]]:
    """Where pydantic took true for 1 or false for 0, which nobody means who writes a plan."""
    for place, value in walk(raw):
        if isinstance(value, bool):
            taken = _at(read, place)
            if isinstance(taken, int | float) and not isinstance(taken, bool):
                yield place, value


def _what_remains(model: type[M], raw: Any, details: Iterable[ErrorDetails]) -> M | None:
    rest = copy.deepcopy(raw)
    # Inner places first: what contains them may be taken out afterwards.
    for place in sorted({_place(raw, detail)[0] for detail in details}, key=len, reverse=True):
        container = _at(rest, place[:-1])
        # Taking an item out of a list would renumber the others.
        if place and isinstance(container, dict):
            container.pop(place[-1], None)
    try:
        return model.model_validate(rest)
    except (ValidationError, GradusError):
        return None


def _told(
    model: type[BaseModel], raw: Any, details: Sequence[ErrorDetails]
) -> list[tuple[TreePath, str]]:
    """Place and message of each fault; the alternatives of a union are told as one."""
    wants: dict[TreePath, list[str]] = defaultdict(list)
    told: dict[tuple[TreePath, str], None] = {}
    found = [(*_place(raw, detail), detail) for detail in details]
    for place, in_union, detail in found:
        deeper = any(len(p) > len(place) and p[: len(place)] == place for p, *_ in found)
        if in_union and deeper:
            # Another alternative fits the value's type and has a more exact fault inside.
            continue
        want = _wanted(detail)
        if want is not None:
            wants[place].append(want)
        else:
            told[place, _message(model, raw, place, detail)] = None
    for place, choices in wants.items():
        value = _at(raw, place)
        near = get_close_matches(str(value), _QUOTED.findall(" ".join(choices)), n=1, cutoff=0.5)
        hint = f": did you mean '{near[0]}'?" if near else ""
        told[place, f"should be {_or(choices)}, is {describe(value)}{hint}"] = None
    return list(told)


def _place(raw: Any, detail: ErrorDetails) -> tuple[TreePath, bool]:
    """Where a fault is in the data, and whether pydantic's location names a union's alternative.

    A location may hold names of alternatives (``int``, ``list[str]``) that no key has.
    """
    location = detail["loc"]
    place: list[str | int] = []
    value, tagged = raw, False
    for key in location:
        if key in value if isinstance(value, dict) else _is_index(value, key):
            value = value[key]
            place.append(key)
        else:
            tagged = True
    if detail["type"] == "missing":
        # The one key of a location that is never in the data.
        place.append(location[-1])
        tagged = False
    return tuple(place), tagged


def _is_index(value: Any, key: str | int) -> bool:
    return isinstance(value, list) and isinstance(key, int) and key < len(value)


def _at(raw: Any, place: TreePath) -> Any:
    """The value at a place; None where there is nothing."""
    for key in place:
        if isinstance(raw, dict):
            raw = raw.get(key)
        elif isinstance(raw, list | tuple) and isinstance(key, int):
            raw = raw[key]
        else:
            return None
    return raw


def _wanted(detail: ErrorDetails) -> str | None:
    """What a value of another type should have been; None when the type isn't what is wrong."""
    kind = detail["type"]
    if kind == "int_from_float":
        return _TYPES["int"]
    if kind == "literal_error" or kind == "enum":
        return str(detail["ctx"]["expected"])
    for ending in ("_type", "_parsing", "_required"):
        name = kind.removesuffix(ending).removesuffix("_attributes")
        if kind.endswith(ending) and name in _TYPES:
            return _TYPES[name]
    return None


def _message(model: type[BaseModel], raw: Any, place: TreePath, detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    shown = describe(_at(raw, place))
    if kind == "extra_forbidden":
        return unknown("key", str(place[-1]), fields_at(model, place[:-1]))
    if kind == "missing":
        return f"'{place[-1]}' is missing" if place else "a key is missing"
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"should be {words} {_short(context[key])}, is {shown}"
    if kind in ("too_short", "too_long"):
        words, key = _LENGTHS[kind]
        return f"should have {words} {context[key]} items, has {context['actual_length']}"
    if kind in ("string_too_short", "string_too_long"):
        words, key = _LENGTHS[kind.removeprefix("string_")]
        return f"should have {words} {context[key]} characters, is {shown}"
    if kind == "finite_number":
        return "should be a finite number"
    if kind == "string_pattern_mismatch":
        return f"should match {context['pattern']}, is {shown}"
    if kind in ("value_error", "assertion_error"):
        return str(context["error"])
    # A validator's own words, or a rare type of pydantic's.
    return f"{detail['msg'][:1].lower()}{detail['msg'][1:]} (is {shown})"


def _short(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _or(choices: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(choices))
    return " or ".join([", ".join(distinct[:-1]), distinct[-1]] if distinct[1:] else distinct)


def fields_at(annotation: Any, place: TreePath) -> set[str]:
    """The keys that a type knows at a place below it, over all alternatives of unions."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {field.alias or name: field for name, field in annotation.model_fields.items()}
        if not place:
            return set(fields)
        field = fields.get(str(place[0]))
        return fields_at(field.annotation, place[1:]) if field is not None else set()
    if origin is Annotated:
        return fields_at(arguments[0], place)
    if origin in (Union, types.UnionType):
        return {name for part in arguments for name in fields_at(part, place)}
    if not place or not arguments:
        return set()
    # Items of lists and tuples, values of mappings.
    inner = arguments[-1:] if isinstance(place[0], str) else arguments[:1]
    return {name for part in inner for name in fields_at(part, place[1:])}
