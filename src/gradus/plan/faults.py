"""Collecting faults: a path in the tree becomes its text and its line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from gradus.records import Fault

_PLAIN: Final = re.compile(r"[\w-]+")

TreePath = tuple[str | int, ...]
"""Keys and list indices from the root, e.g. ``("steps", 2, "stages", 0, "lr")``."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a value stands: a line from 1, or the ``--set`` that gave it (line 0)."""

    line: int
    override: str | None = None


@dataclass
class Tree:
    """Plain values and where they stand."""

    value: dict[str, Any] = field(default_factory=dict)
    marks: dict[TreePath, Mark] = field(default_factory=lambda: {(): Mark(1)})

    def mark(self, path: TreePath) -> Mark:
        """The mark of the value at `path`, or of the nearest thing that contains it."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, Mark(0))

    def text(self, path: TreePath) -> str:
        """The path as a person writes it; a step goes by its id where that is unique.

        >>> Tree({"steps": [{"id": "tuned"}]}).text(("steps", 0, "stages", 1, "lr"))
        'steps.tuned.stages[1].lr'
        """
        shown = ""
        for i, key in enumerate(path):
            name = self._step_id(key) if i == 1 and path[0] == "steps" else None
            if name is None and isinstance(key, int):
                shown += f"[{key}]"
            else:
                shown += f".{key if name is None else name}"
        return shown.removeprefix(".")

    def _step_id(self, key: str | int) -> str | None:
        steps = self.value.get("steps")
        if not isinstance(steps, list) or not isinstance(key, int) or not 0 <= key < len(steps):
            return None
        ids = [step.get("id") if isinstance(step, dict) else None for step in steps]
        name = ids[key]
        counts = Counter(i for i in ids if isinstance(i, str))
        if not isinstance(name, str) or counts[name] != 1 or not _PLAIN.fullmatch(name):
            return None
        return name


@dataclass
class Faults:
    """Faults found so far. Paths become text at the end, when the steps' ids are known."""

    tree: Tree = field(default_factory=Tree)
    _found: list[tuple[TreePath, int | None, str]] = field(default_factory=list)
    _poisoned: set[TreePath] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, path: TreePath, message: str, line: int | None = None) -> None:
        """A fault at `path`; dropped where it only follows from another one."""
        if not any(path[:n] in self._poisoned for n in range(len(path) + 1)):
            self._found.append((path, line, message))

    def add_line(self, line: int, message: str) -> None:
        """A fault of the file as a whole."""
        self._found.append(((), line, message))

    def poison(self, path: TreePath) -> None:
        """From now on faults at or below `path` are consequences of one that is known."""
        self._poisoned.add(path)

    def sorted(self) -> list[Fault]:
        """Each fault once: those of the command line first, then by line."""
        faults = {}
        for path, line, message in self._found:
            mark = self.tree.mark(path)
            if mark.override is not None:
                fault = Fault(path=f"--set {mark.override}", line=0, message=message)
            else:
                where = mark.line if line is None else line
                fault = Fault(path=self.tree.text(path), line=where, message=message)
            faults[fault.path, fault.line, fault.message] = fault
        return sorted(faults.values(), key=lambda fault: fault.line)


def walk(value: Any, path: TreePath = ()) -> Iterator[tuple[TreePath, Any]]:
    """Every scalar of a tree with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from walk(item, (*path, i))
    else:
        yield path, value
