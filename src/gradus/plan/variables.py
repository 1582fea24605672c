"""Plan variables: ``${name}`` and ``${env:NAME}`` in any text of a plan.

A text that is one variable and nothing else takes the variable's type, so that ``limit: ${n}``
stays a number. ``$${`` stands for ``${`` itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, Final

from gradus.errors import unknown
from gradus.plan.faults import Faults, TreePath
from gradus.plan.plainly import describe

_REFERENCE: Final = re.compile(r"\$\$\{|\$\{(?P<name>[^{}]*)(?P<end>\}?)")


def mentioned(value: Any) -> Iterator[str]:
    """The names of the plan variables that a text uses."""
    if isinstance(value, str):
        for match in _REFERENCE.finditer(value):
            name = match["name"]
            if name is not None and not name.startswith("env:"):
                yield name.strip()


def escape(value: Any) -> Any:
    """`value` with every ``${`` in it written so that it is read as itself."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: escape(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [escape(item) for item in value]
    return value


class _Undefined(Exception):
    """A variable that can't be replaced; the message says why, or is empty when that is known."""


class Variables:
    """The variables of one plan, resolved among themselves."""

    def __init__(self, raw: Any, faults: Faults) -> None:
        """`raw` is the value of the plan's ``vars``."""
        self._faults = faults
        self._raw: dict[str, Any] = {}
        self.values: dict[str, Any] = {}
        self._broken: set[str] = set()
        if isinstance(raw, dict):
            self._raw = raw
        elif raw is not None:
            faults.add(("vars",), f"should be a mapping, is {describe(raw)}")
        for name, value in self._raw.items():
            if isinstance(value, dict | list):
                faults.add(("vars", name), f"should be a single value, is {describe(value)}")
                self._broken.add(name)
        for name in self._raw:
            if name not in self._broken:
                self._resolve_own(name)

    def _resolve_own(self, name: str) -> None:
        try:
            self._value_of(name, ())
        except _Undefined as undefined:
            self._broken.add(name)
            if str(undefined):
                self._faults.add(("vars", name), str(undefined))

    def _value_of(self, name: str, users: tuple[str, ...]) -> Any:
        if name in users:
            chain = " -> ".join([*users[users.index(name) :], name])
            raise _Undefined(f"cyclic variable: {chain}")
        if name in self._broken:
            raise _Undefined
        if name not in self._raw:
            raise _Undefined(unknown("variable", name, self._raw))
        if name not in self.values:
            self.values[name] = self._replaced(self._raw[name], (*users, name))
        return self.values[name]

    def _replaced(self, value: Any, users: tuple[str, ...]) -> Any:
        if not isinstance(value, str):
            return value
        whole = _REFERENCE.fullmatch(value)
        if whole and whole["name"] is not None:
            return self._one(whole, users)
        return _REFERENCE.sub(lambda match: _text(self._one(match, users)), value)

    def _one(self, match: re.Match[str], users: tuple[str, ...]) -> Any:
        if match["name"] is None:
            return "${"
        if not match["end"]:
            raise _Undefined("'${' without '}' (write '$${' for the characters themselves)")
        name = match["name"].strip()
        if name.startswith("env:"):
            value = os.environ.get(name[4:])
            if value is None:
                raise _Undefined(f"the environment has no variable '{name[4:]}'")
            return value
        return self._value_of(name, users)

    def replace_in(self, value: Any, path: TreePath) -> Any:
        """`value` with every variable in its texts replaced; the undefined ones become faults."""
        if isinstance(value, dict):
            return {key: self.replace_in(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.replace_in(item, (*path, i)) for i, item in enumerate(value)]
        try:
            return self._replaced(value, ())
        except _Undefined as undefined:
            if str(undefined):
                self._faults.add(path, str(undefined))
            self._faults.poison(path)
            return value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
