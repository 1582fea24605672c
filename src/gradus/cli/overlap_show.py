"""How ``gradus overlap`` prints what it found: two tables and what to know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradus.report.format import NONE, number
from gradus.report.tables import Cell, Table, make, measured


def show(known: Mapping[str, Any], *, as_markdown: bool) -> None:
    """Print facts as tables on standard output."""
    for i, table in enumerate(t for t in (_overlaps(known), _scores(known)) if t):
        if i:
            print()
        _print(table, as_markdown)
    for line in _notes(known):
        print(f"\n{line}" if as_markdown else line)


def _print(made: Table, as_markdown: bool) -> None:
    from gradus.cli.output import print_table
    from gradus.report.markdown import table

    if as_markdown:
        print(table(made))
        return
    right = [t for t, is_number in zip(made.titles, made.numeric, strict=True) if is_number]
    print_table(made.titles, [[str(cell) for cell in row] for row in made.rows], right=right)


def _overlaps(known: Mapping[str, Any]) -> Table:
    spec = [("benchmark", False), ("items", True), ("n", True), ("dirty", True)]
    spec += [("dirty share", True), ("only frequent", True), ("too short", True)]
    spec += [("8-grams", True), ("in the corpus", True)]
    rows = [
        [
            Cell(one["name"]),
            Cell(number(one["items"])),
            *(Cell(number(one.get(key))) for key in ("n", "dirty")),
            Cell(_share(one.get("dirty_share"))),
            *(Cell(number(one.get(key))) for key in ("frequent", "too_short")),
            Cell(number(one["ngrams"]["count"])),
            Cell(_share(one["ngrams"]["share"])),
        ]
        for one in known["benchmarks"]
    ]
    return make(spec, rows)


def _scores(known: Mapping[str, Any]) -> Table:
    """Rows models and the metrics that a benchmark compares; columns all, clean, dirty."""
    spec = [("model", False), ("benchmark", False), ("metric", False)]
    spec += [(title, True) for title in ("all items", "clean", "dirty")]
    found: Sequence[dict[str, Any]] = known["measurements"]
    at = {(m["checkpoint"], m["data"], m["metric"]): m for m in found}
    rows = []
    for one in known["benchmarks"]:
        compared = _compared(one["benchmark"])
        for m in found:
            if m["data"] != one["name"] or (compared and m["metric"] not in compared):
                continue
            cells = [
                at.get((m["checkpoint"], f"{one['name']} {subset}".strip(), m["metric"]))
                for subset in ("", "clean", "dirty")
            ]
            names = (Cell(m["checkpoint"]), Cell(one["name"]), Cell(m["metric"]))
            rows.append([*names, *map(measured, cells)])
    return make(spec, rows)


def _compared(name: str | None) -> Sequence[str]:
    from gradus import benchmarks

    return () if name is None else benchmarks.compared(name)


def _notes(known: Mapping[str, Any]) -> list[str]:
    found = []
    bloom = known["filter"]
    if bloom is not None:
        name = Path(bloom["file"]).name
        found.append(
            f"{name} holds about {bloom['distinct']:,} distinct {bloom['n']}-grams; one that the "
            f"corpus lacks is found with probability {bloom['false_positive_rate']:.1e}."
        )
        if bloom["false_positive_rate"] > bloom["rate"] * 1.05:
            found.append(
                f"! That is more than the {bloom['rate']:g} it was made for: make it again with "
                f"--capacity {bloom['distinct']} or more."
            )
    frequent = sum(one.get("frequent", 0) for one in known["benchmarks"])
    if frequent:
        found.append(
            f"! {frequent:,} items count as clean only since their n-grams stand in too many "
            "documents; --most-documents 0 calls them dirty."
        )
    return found


def _share(value: float | None) -> str:
    return NONE if value is None else f"{value:.2%}"
