"""``--set steps.tuned.stages[0].lr=2e-4``: values from the command line, put into the tree.

They are put in before anything is validated, so that an override has the faults that the same
value in the file would have. Keys that the file leaves out may be set; whether a step knows them
is found when its config is validated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from gradus.errors import unknown
from gradus.plan.faults import Faults, Mark, Tree, TreePath, walk
from gradus.plan.tree import read_value
from gradus.plan.variables import mentioned

TOP_LEVEL: Final = (
    *("name", "about", "seed", "vars", "data", "corpora", "models", "steps", "measure", "scores"),
)
_KEY: Final = re.compile(r"\[(?P<index>[0-9]{1,9})\]|(?P<key>[^.\[\]=\s]+)")
_PATH: Final = re.compile(r"[^.\[\]=\s]+(?:\.[^.\[\]=\s]+|\[[0-9]{1,9}\])*")


class _Refused(Exception):
    """This override can't be applied; the message says why."""


def apply(tree: Tree, overrides: Sequence[str], faults: Faults) -> None:
    """Put every override into the tree, in their order; one that doesn't fit is a fault."""
    for override in overrides:
        try:
            keys, value = _parse(override)
            _put(tree, keys, value, override)
        except _Refused as refused:
            place = ("--set", override)
            tree.marks[place] = Mark(0, override)
            faults.add(place, str(refused))


def _parse(override: str) -> tuple[list[str | int], Any]:
    path, equals, text = override.partition("=")
    if not equals:
        raise _Refused("write PATH=VALUE, as in steps.tuned.stages[0].lr=2e-4")
    if not _PATH.fullmatch(path.strip()):
        raise _Refused(f"'{path}' isn't a path such as steps.tuned.stages[0].lr")
    keys: list[str | int] = [
        int(match["index"]) if match["index"] else match["key"]
        for match in _KEY.finditer(path.strip())
    ]
    try:
        return keys, read_value(text)
    except ValueError as error:
        raise _Refused(str(error)) from error


def _put(tree: Tree, keys: Sequence[str | int], value: Any, override: str) -> None:
    if keys[0] not in TOP_LEVEL:
        raise _Refused(unknown("key", str(keys[0]), TOP_LEVEL))
    container: Any = tree.value
    path: TreePath = ()
    for i, wanted in enumerate(keys):
        key = _key(tree, container, path, wanted)
        if i == len(keys) - 1:
            container[key] = value
        elif isinstance(container, dict) and container.get(key) is None:
            # A mapping that the file leaves out; a list has no place for a first item.
            if not isinstance(keys[i + 1], str):
                raise _Refused(f"{tree.text((*path, key))} has no items")
            container[key] = {}
            tree.marks[*path, key] = Mark(0, override)
        container, path = container[key], (*path, key)
    for place in [place for place in tree.marks if place[: len(path)] == path]:
        del tree.marks[place]
    tree.marks[path] = Mark(0, override)


def _key(tree: Tree, container: Any, path: TreePath, key: str | int) -> str | int:
    """The key under which the child stands, or may stand, in its container."""
    place = tree.text(path) or "the plan"
    if isinstance(container, list):
        if isinstance(key, str):
            if path != ("steps",):
                raise _Refused(f"{place} is a list: write {place}[0]")
            ids = [step.get("id") if isinstance(step, dict) else None for step in container]
            if key not in ids:
                raise _Refused(unknown("step", key, (i for i in ids if isinstance(i, str))))
            return ids.index(key)
        if key >= len(container):
            raise _Refused(f"{place} has {len(container)} items, counted from 0: no [{key}]")
        return key
    if not isinstance(container, dict):
        raise _Refused(f"{place} is a single value: '{key}' can't be set in it")
    if isinstance(key, int):
        raise _Refused(f"{place} is no list: [{key}] can't be set in it")
    named = {
        ("data",): "data set",
        ("corpora",): "corpus",
        ("models",): "model",
        ("scores",): "score",
    }
    if path in named and key not in container:
        what = named[path]
        raise _Refused(unknown(what, key, container))
    if path == ("vars",) and key not in container:
        _used_variable(tree, key)
    return key


def _used_variable(tree: Tree, name: str) -> None:
    used = {used for _, value in walk(tree.value) for used in mentioned(value)}
    if name in used:
        return
    given = tree.value.get("vars")
    raise _Refused(unknown("variable", name, {*used, *(given if isinstance(given, dict) else {})}))
