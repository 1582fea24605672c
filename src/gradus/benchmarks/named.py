"""Benchmarks on published files as plans and commands name them.

::

    lambada: PATH                                   the catalog's name and the file
    lambada: {path: PATH, limit: 300}               with options
    strided: {benchmark: wikitext-2, path: PATH, preset: hf-docs}   under a name of its own
    lm-eval:hellaswag                               KIND:TASK, for one that finds its own data
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gradus import registry
from gradus.benchmarks.texts import TextBenchmark
from gradus.errors import UnknownName, UsageError, unknown
from gradus.sources.base import absolute, require

FORMS: Final = "{NAME: PATH}, {NAME: {path: PATH, ...}} or a name such as lm-eval:hellaswag"
# As a gate may write it before a metric.
_NAME: Final = re.compile(r"[^\W][\w-]{0,63}")


@dataclass(frozen=True, slots=True)
class Named:
    """A benchmark as it is asked for.

    Attributes:
        name: what the plan calls it, and gates and measurements with it.
        kind: the catalog's name, with or without its version.
        options: keys of the benchmark's config.
        inside: whether options are written below the name, not the path alone.
    """

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    inside: bool = False

    def load(self) -> type[TextBenchmark]:
        """The benchmark.

        Raises:
            UnknownName: there is none of that name that reads a file.
        """
        return load(self.kind)

    def resolved(self, config: Any) -> dict[str, Any]:
        """The entry with its version and every default, as a resolved plan keeps it."""
        kind = registry.resolve("benchmarks", self.kind)
        return {self.name: {"benchmark": kind, **config.model_dump(mode="json")}}


def load(kind: str) -> type[TextBenchmark]:
    """The benchmark on a published file that `kind` stands for in the catalog.

    Raises:
        UnknownName: there is none.
    """
    known = {registry.plain(v) for v in registry.names("benchmarks")}
    if registry.plain(kind) not in known:
        raise UnknownName("benchmark", kind, on_files())
    found: type[Any] = registry.load("benchmarks", kind)
    if not issubclass(found, TextBenchmark):
        raise UnknownName("benchmark on a file", kind, on_files())
    return found


def on_files() -> list[str]:
    """Plain names of the benchmarks that read a published file."""
    names = registry.names("benchmarks")
    kinds = {name: registry.load("benchmarks", name) for name in names}
    made = [name for name, kind in kinds.items() if issubclass(kind, TextBenchmark)]
    # The bases that they share stand in the catalog too, but read nothing themselves.
    return list(dict.fromkeys(registry.plain(n) for n in made if hasattr(kinds[n], "kind")))


def read(entry: Any) -> Named:
    """The benchmark that an entry of a plan's ``benchmarks:`` asks for; nothing is looked up.

    >>> read({"lambada": "data/lambada_test.jsonl"})
    Named(name='lambada', kind='lambada', options={'path': 'data/lambada_test.jsonl'}, inside=False)
    >>> read("lm-eval:hellaswag").options
    {'task': 'hellaswag'}

    Raises:
        UsageError: it has none of the forms.
    """
    if isinstance(entry, str):
        return _named(entry, {}, inside=False)
    if not isinstance(entry, Mapping):
        raise UsageError(f"write {FORMS}")
    if len(entry) != 1:
        several = " and ".join(f"'{key}'" for key in list(entry)[:2])
        hint = f", not {several} in one" if len(entry) > 1 else ""
        raise UsageError(f"each benchmark is an item of its own{hint}: write {FORMS}")
    ((key, value),) = entry.items()
    if value is None or isinstance(value, str):
        return _named(str(key), {} if value is None else {"path": value}, inside=False)
    if not isinstance(value, Mapping):
        raise UsageError(f"'{key}' needs a path or options: write {FORMS}")
    return _named(str(key), value, inside=True)


def _named(key: str, options: Mapping[str, Any], *, inside: bool) -> Named:
    kind = options.get("benchmark", key)
    if not isinstance(kind, str):
        raise UsageError(f"'benchmark' of '{key}' should be a benchmark's name")
    rest = {name: value for name, value in options.items() if name != "benchmark"}
    kind, colon, task = kind.partition(":")
    if colon:
        if not task:
            raise UsageError(f"'{kind}:' says no task after the colon")
        rest.setdefault("task", task)
    name = key.partition(":")[2] or registry.plain(key)
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name[:80]}' can't stand in a gate: name it with letters, digits, '-' and '_', as "
            "in my-name: {benchmark: KIND, ...}"
        )
    return Named(name, kind, rest, inside)


def twice(found: Sequence[Named]) -> str | None:
    """The first name that two of them have."""
    names = [one.name for one in found]
    return next((name for name in names if names.count(name) > 1), None)


def place(config: Any, folder: Path) -> Path | None:
    """Where a benchmark's file is, absolute; None for one that finds its own data.

    Raises:
        SourceError: there is no such file; names what is near.
    """
    path = getattr(config, "path", None)
    return require(absolute(path, folder), "the file") if path else None


def metrics_of(kind: type[TextBenchmark]) -> frozenset[str]:
    """Plain names of the metrics that a gate may ask of a benchmark."""
    return frozenset(kind.metrics)


def no_such(name: str, known: Sequence[str]) -> str:
    """That a step isn't measured on a benchmark of that name.

    >>> no_such("lambda", ["lambada"])
    "unknown benchmark 'lambda': did you mean 'lambada'?"
    """
    return unknown("benchmark", name, known)
