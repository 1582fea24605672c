"""Spaces in a step's mapping: where a value stands, a mapping of what it may be.

::

    lr: {log: [1.0e-5, 1.0e-3]}              a number, evenly over its logarithm
    dropout: {uniform: [0.0, 0.3]}           a number, evenly
    batch_size: {int: [8, 64]}               a whole number; with ``step: 8`` every eighth,
                                             with ``log: true`` evenly over its logarithm
    optimiser: {choice: [adamw, lion]}       one of these, which may be whole stages or texts
    lr: {same_as: "stages[0].lr"}            no space of its own: the value of that one

Imports nothing heavy: a plan is checked with it.
"""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from gradus.errors import unknown

Place = tuple[str | int, ...]
Kind = Literal["log", "uniform", "int", "choice"]
KINDS: Final[tuple[Kind, ...]] = ("choice", "int", "uniform", "log")
SAME: Final = "same_as"
_OPTIONS: Final = {"log": (), "uniform": (), "int": ("log", "step"), "choice": ()}


def shown(place: Place) -> str:
    """A place as a person writes it.

    >>> shown(("stages", 0, "lr"))
    'stages[0].lr'
    """
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).lstrip(".")


@dataclass(frozen=True, slots=True)
class Space:
    """What one value may be.

    Attributes:
        place: where it stands in the step's mapping.
        kind: how it is drawn.
        low, high: its ends, both included; of no use to a choice.
        choices: what a choice offers.
        log: whether a whole number is drawn over its logarithm.
        step: distance of whole numbers.
    """

    place: Place
    kind: Kind
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()
    log: bool = False
    step: int = 1

    @property
    def name(self) -> str:
        """The place as a person writes it: ``stages[0].lr``."""
        return shown(self.place)

    @property
    def logarithmic(self) -> bool:
        """Whether it is drawn, and shown, over its logarithm."""
        return self.kind == "log" or self.log

    def labels(self) -> tuple[str, ...]:
        """The choices as texts, one for each, by which they are told apart."""
        return tuple(json.dumps(choice, ensure_ascii=False) for choice in self.choices)

    def examples(self) -> list[tuple[Place, Any]]:
        """Values that stand for all of them, each with its place in the plan below the space's."""
        if self.kind == "choice":
            return [(("choice", i), value) for i, value in enumerate(self.choices)]
        ends = [int(self.low), self.last] if self.kind == "int" else [self.low, self.high]
        return [((self.kind, i), value) for i, value in enumerate(ends)]

    def points(self, count: int) -> list[Any]:
        """Its part of a grid: all choices, or `count` values with both ends among them."""
        if self.kind == "choice":
            return list(self.choices)
        shares = [i / (count - 1) for i in range(count)] if count > 1 else [0.5]
        if self.logarithmic:
            low, high = math.log(self.low), math.log(self.high)
            values = [math.exp(low + share * (high - low)) for share in shares]
            values[0], values[-1] = (values[0], values[-1]) if count < 2 else (self.low, self.high)
        else:
            values = [self.low + share * (self.high - self.low) for share in shares]
        if self.kind != "int":
            return values
        whole = [int(self.low) + self.step * round((v - self.low) / self.step) for v in values]
        return list(dict.fromkeys(min(number, self.last) for number in whole))

    @property
    def last(self) -> int:
        """Of whole numbers, the greatest that its steps reach."""
        low, high = int(self.low), int(self.high)
        return low + (high - low) // self.step * self.step

    def to_json(self) -> dict[str, Any]:
        """For records and reports."""
        found: dict[str, Any] = {"name": self.name, "kind": self.kind, "log": self.logarithmic}
        if self.kind == "choice":
            return {**found, "choices": list(self.choices)}
        return {**found, "low": self.low, "high": self.high}


def spaces_in(tree: Any) -> tuple[list[Space], list[tuple[Place, str]]]:
    """The spaces in a step's mapping, in its order, and what is wrong with them, by place."""
    found: list[Space] = []
    faults: list[tuple[Place, str]] = []
    for place, raw in _walk(tree, ()):
        try:
            found.append(_read(place, raw))
        except _Fault as fault:
            faults.append(((*place, *fault.place), fault.message))
    names = [one.name for one in found]
    for place, name in _followers(tree):
        if name not in names:
            faults.append(((*place, SAME), unknown("space", str(name), names)))
    return found, faults


def is_space(value: Any) -> bool:
    """Whether a mapping is meant as a space: it has one of the kinds' keys and little else."""
    if not isinstance(value, Mapping) or not value:
        return False
    kind = next((k for k in KINDS if k in value), None)
    return kind is not None and set(value) <= {kind, "log", "step"}


class _Fault(Exception):
    def __init__(self, message: str, *place: str | int) -> None:
        self.message, self.place = message, place
        super().__init__(message)


def _walk(tree: Any, place: Place) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    if is_space(tree):
        yield place, tree
        return
    for key, value in _below(tree):
        yield from _walk(value, (*place, key))


def _below(tree: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(tree, Mapping):
        yield from tree.items()
    elif isinstance(tree, list | tuple):
        yield from enumerate(tree)


def _followers(tree: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Places whose value is that of a space, each with the space's name."""
    if isinstance(tree, Mapping) and set(tree) == {SAME}:
        yield place, tree[SAME]
        return
    for key, value in _below(tree):
        yield from _followers(value, (*place, key))


def _read(place: Place, raw: Mapping[str, Any]) -> Space:
    kind = next(k for k in KINDS if k in raw)
    for key in raw:
        if key != kind and key not in _OPTIONS[kind]:
            raise _Fault(f"a space of kind '{kind}' has no '{key}'", key)
    value = raw[kind]
    if not isinstance(value, list | tuple):
        raise _Fault("should be a list", kind)
    if kind == "choice":
        return Space(place, kind, choices=_choices(value))
    low, high = _ends(value, kind)
    log, step = raw.get("log", False), raw.get("step", 1)
    if not isinstance(log, bool) and kind == "int":
        raise _Fault("should be true or false", "log")
    if isinstance(step, bool) or not isinstance(step, int) or step < 1:
        raise _Fault("should be a whole number from 1 on", "step")
    if (kind == "log" or (kind == "int" and log)) and low <= 0:
        raise _Fault("has no logarithm: begin above 0", kind, 0)
    if kind == "int" and log and step > 1:
        raise _Fault("give step or log, not both", "step")
    return Space(place, kind, low, high, log=bool(kind == "int" and log), step=step)


def _choices(value: Sequence[Any]) -> tuple[Any, ...]:
    if not value:
        raise _Fault("offers nothing", "choice")
    seen: dict[str, int] = {}
    for index, choice in enumerate(value):
        if next(_walk(choice, ()), None) is not None:
            raise _Fault("is a space inside a choice: write them side by side", "choice", index)
        label = json.dumps(choice, ensure_ascii=False, default=str)
        if label in seen:
            raise _Fault(f"stands there twice: {label}", "choice", index)
        seen[label] = index
    return tuple(value)


def _ends(value: Sequence[Any], kind: Kind) -> tuple[float, float]:
    if len(value) != 2:
        raise _Fault(f"should be its two ends, has {len(value)} items", kind)
    for index, end in enumerate(value):
        if isinstance(end, bool) or not isinstance(end, int | float) or not math.isfinite(end):
            raise _Fault("should be a number", kind, index)
        if kind == "int" and end != int(end):
            raise _Fault("should be a whole number", kind, index)
    low, high = value
    if low >= high:
        raise _Fault(f"should be above {low}, the lower end", kind, 1)
    return float(low), float(high)


def fill(tree: Any, values: Mapping[Place, Any]) -> Any:
    """`tree` with the value of each place put there, and wherever another is to be the same; the
    tree itself stays as it is."""
    made = copy.deepcopy(tree)
    for place, value in values.items():
        made = _put(made, place, value)
    known = {shown(place): value for place, value in values.items()}
    for place, name in list(_followers(made)):
        if name in known:
            made = _put(made, place, known[name])
    return made


def _put(tree: Any, place: Place, value: Any) -> Any:
    if not place:
        return copy.deepcopy(value)
    above = tree
    for key in place[:-1]:
        above = above[key]
    above[place[-1]] = copy.deepcopy(value)
    return tree


def grid(spaces: Sequence[Space], points: int) -> list[dict[Place, Any]]:
    """Every combination, the last space running fastest."""
    columns = [space.points(points) for space in spaces]
    places = [space.place for space in spaces]
    return [dict(zip(places, row, strict=True)) for row in itertools.product(*columns)]
