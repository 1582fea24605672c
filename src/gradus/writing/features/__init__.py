"""What is computed of writings once, before metrics reduce it: one feature a file."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from gradus import registry

if TYPE_CHECKING:
    from gradus.writing.features.base import Feature


def known(given: Collection[str]) -> list[type[Feature]]:
    """The features whose needs are all given, in the catalog's order."""
    kinds: list[type[Feature]] = [registry.load("features", n) for n in registry.names("features")]
    return [kind for kind in kinds if set(kind.needs) <= set(given)]


def columns(given: Collection[str]) -> frozenset[str]:
    """Names of the columns that are there where so much is given."""
    return frozenset(name for kind in known(given) for name in kind.columns)
