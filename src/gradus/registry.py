"""Lazy lookup in the catalog and in entry points.

Unknown names raise `UnknownName` with the nearest known one; a name given twice raises
`DuplicateName`. There is no fallback and no None.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from functools import cache
from typing import Any

from gradus.catalog import CATALOG
from gradus.errors import GradusError, UnknownName

_VERSIONED = re.compile(r"^(?P<name>[a-z][a-z0-9_-]*)\.v(?P<version>[1-9][0-9]*)$")
_SINGULAR = {"losses": "loss"}


class DuplicateName(GradusError):
    """Two packages register the same versioned name."""


@cache
def entries(section: str) -> dict[str, str]:
    """Versioned name -> ``module:attribute`` of one section, other packages' entries included.

    Raises:
        UnknownName: there is no such section.
        DuplicateName: an entry point repeats a name that is there already.
    """
    if section not in CATALOG:
        raise UnknownName("section of the catalog", section, CATALOG)
    found = dict(CATALOG[section])
    for point in importlib.metadata.entry_points(group=f"gradus.{section}"):
        if point.name in found and found[point.name] != point.value:
            raise DuplicateName(
                f"{section} entry '{point.name}' is registered as {found[point.name]} "
                f"and again as {point.value}: rename one or raise its version"
            )
        found[point.name] = point.value
    for name in found:
        if not _VERSIONED.match(name):
            raise DuplicateName(f"{section} entry '{name}' has no version: write '{name}.v1'")
    return found


def resolve(section: str, name: str) -> str:
    """The versioned name that `name` stands for: itself, or its newest version.

    >>> resolve("steps", "finetune")
    'finetune.v1'
    """
    known = entries(section)
    if name in known:
        return name
    versions = [v for v in known if v.rpartition(".v")[0] == name]
    if not versions:
        raise UnknownName(_SINGULAR.get(section, section[:-1]), name, (plain(v) for v in known))
    return max(versions, key=lambda v: int(v.rpartition(".v")[2]))


def load(section: str, name: str) -> Any:
    """Import what `name` stands for in `section`."""
    target = entries(section)[resolve(section, name)]
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def names(section: str) -> list[str]:
    """Every versioned name of a section, in catalog order."""
    return list(entries(section))


def plain(versioned: str) -> str:
    """The name without its version.

    >>> plain("finetune.v1")
    'finetune'
    """
    return versioned.rpartition(".v")[0] or versioned
