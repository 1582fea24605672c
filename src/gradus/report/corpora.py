"""The tables of corpora: documents by split, domain and language, and what cleaning left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gradus.report.costs import flat
from gradus.report.format import NONE, number, plain
from gradus.report.reading import Fact
from gradus.report.tables import Cell, Table, make

MOST: Final = 30
"""Domains or languages that a table names; the rest is one row."""

_SIZES: Final = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_APART: Final = ("splits", "cleaning", "notes", "digest", "split_digests", "config_digest")


@dataclass(frozen=True, slots=True)
class CorpusShown:
    """One corpus: its name, tables of splits and of cleaning, parts by kind, what else is known."""

    name: str
    splits: Table
    cleaning: Table
    parts: tuple[tuple[str, Table], ...]
    about: list[tuple[str, str]]


def corpora(known: Fact) -> list[CorpusShown]:
    """One for each corpus of the plan."""
    return [
        CorpusShown(
            name=name,
            splits=_splits(facts.get("splits") or {}),
            cleaning=_cleaning(facts.get("cleaning") or {}),
            parts=tuple(
                (kind, made)
                for kind in ("domains", "languages")
                if (made := _parts(facts.get("splits") or {}, kind))
            ),
            about=_about(name, facts, known),
        )
        for name, facts in known["corpora"].items()
    ]


def size(count: int | None) -> str:
    """Bytes in the unit that suits them.

    >>> size(8_308_405), size(12), size(None)
    ('8.31 MB', '12 B', '–')
    """
    if count is None:
        return NONE
    for scale, unit in _SIZES:
        if count >= scale:
            return f"{number(count / scale)} {unit}"
    return f"{count} B"


def _splits(splits: Mapping[str, Any]) -> Table:
    spec = [("split", False), ("documents", True), ("text", True)]
    rows = [
        (Cell(name), Cell(number(of["documents"])), Cell(size(of["bytes"])))
        for name, of in splits.items()
    ]
    return make(spec, rows)


def _parts(splits: Mapping[str, Any], kind: str) -> Table:
    """Documents and text of each domain or language by split, those with most text first."""
    totals: dict[str, int] = {}
    for of in splits.values():
        for name, part in of.get(kind, {}).items():
            totals[name] = totals.get(name, 0) + part["bytes"]
    if not totals:
        return make([(kind, False)], [])
    names = sorted(totals, key=lambda name: (-totals[name], name))
    shown = names if len(names) <= MOST else names[: MOST - 1]
    groups = [(name, [name]) for name in shown]
    if len(shown) < len(names):
        rest = names[len(shown) :]
        groups.append((f"{number(len(rest))} others", rest))
    spec = [(kind.removesuffix("s"), False), *((split, True) for split in splits)]
    rows = [
        [Cell(title), *(_part(of.get(kind, {}), among) for of in splits.values())]
        for title, among in groups
    ]
    return make(spec, rows)


def _part(parts: Mapping[str, Any], names: list[str]) -> Cell:
    found = [parts[name] for name in names if name in parts]
    if not found:
        return Cell(NONE, tone="muted")
    documents = number(sum(part["documents"] for part in found))
    return Cell(size(sum(part["bytes"] for part in found)), f"in {documents}")


def _cleaning(counts: Mapping[str, Any]) -> Table:
    """What each filter did, in the order in which they are applied."""
    spec = [("filter", False), ("documents seen", True), ("left out", True), ("changed", True)]
    spec += [("characters left out", True), ("why", False)]
    rows = [
        (
            Cell(name.replace("_", " ")),
            Cell(number(of.get("seen", 0))),
            Cell(number(of.get("dropped", 0))),
            Cell(number(of["changed"]) if "changed" in of else NONE),
            Cell(number(of.get("dropped_characters", 0))),
            Cell(_reasons(of.get("reasons") or {})),
        )
        for name, of in counts.items()
    ]
    return make(spec, rows)


def _reasons(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number(count)}" for name, count in reasons.items()) or NONE


def _about(name: str, facts: Fact, known: Fact) -> list[tuple[str, str]]:
    """Named values of a corpus; what stands in the tables or is empty is left out."""
    told = [
        (key.replace("_", " "), flat(value))
        for key, value in facts.items()
        if key not in _APART and value not in (None, [], {}, "")
    ]
    told.append(("digest", plain(facts.get("digest"))))
    if "test" in (facts.get("splits") or {}):
        told.append(("readings of test", plain(known["readings"].get(name, 0))))
    return told
