"""Slices of the items and the seeds of repeated steps: what each gave, and which are worse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gradus.report.format import NONE, interval, number, p_value, quantity, signed
from gradus.report.reading import Fact
from gradus.report.tables import Cell, Table, make, measured

Sliced = tuple[str, list[str], Table]

WORSE: Final = Cell("significantly", sign="▼", tone="bad")


def slices(known: Fact) -> list[Sliced]:
    """For each checkpoint and split: a title, the slices that are worse than the rest, a table."""
    groups: dict[tuple[str, str, str], list[Fact]] = {}
    for step in known["steps"]:
        for row in step["slices"]:
            groups.setdefault((row["checkpoint"], row["data"], row["split"]), []).append(row)
    return [
        (f"{checkpoint} on {data}.{split}", worse(rows), _slices(rows))
        for (checkpoint, data, split), rows in groups.items()
    ]


def worse(rows: Sequence[Fact]) -> list[str]:
    """A sentence for each slice that is significantly worse than the rest, the worst p first."""
    found = sorted((row for row in rows if row["worse"]), key=lambda row: row["p_holm"])
    return [
        f"{row['by']} {row['slice']}: {row['metric']} {number(row['value'], row['unit'])} "
        f"on {row['n']:,} items against {number(row['rest'], row['unit'])} on the rest "
        f"({p_value(row['p_holm'])} after Holm's correction)"
        for row in found
    ]


def _slices(rows: Sequence[Fact]) -> Table:
    metric = rows[0]["metric"]
    spec = [("slice", False), ("n", True), (metric, True), ("the rest", True)]
    spec += [("difference", True), ("p, Holm", True), ("worse than the rest", False)]
    return make(
        spec,
        [
            (
                Cell(f"{row['by']} {row['slice']}"),
                Cell(number(row["n"])),
                Cell(
                    quantity(row["value"], row["unit"]),
                    interval(row["ci_low"], row["ci_high"], row["unit"]),
                ),
                Cell(quantity(row["rest"], row["unit"])),
                Cell(signed(row["difference"], row["unit"])),
                Cell(p_value(row["p_holm"]).removeprefix("p ").removeprefix("= ") or NONE),
                WORSE if row["worse"] else Cell("no", tone="muted"),
            )
            for row in rows
        ],
    )


def seeds(known: Fact) -> list[tuple[str, str, Table]]:
    """For each repeated checkpoint and split: a title, how it was chosen, values by seed."""
    found = []
    for step in known["steps"]:
        groups: dict[tuple[str, str, str], list[Fact]] = {}
        for row in step["seeds"].get("measured", ()):
            groups.setdefault((row["checkpoint"], row["data"], row["split"]), []).append(row)
        for (checkpoint, data, split), rows in groups.items():
            title = f"{checkpoint} on {data}.{split}"
            found.append((title, chosen(step["seeds"], checkpoint), _seeds(rows, step)))
    return found


def chosen(facts: Fact, checkpoint: str) -> str:
    """Which seed the checkpoint's name stands for, and why; empty where the step didn't choose."""
    if not facts.get("chosen"):
        return ""
    why = f", whose {facts['metric']} on dev.select is the median" if facts["metric"] else ""
    return f"Where a later step takes {checkpoint}, it gets seed {facts['chosen']}{why}."


def _seeds(rows: Sequence[Fact], step: Fact) -> Table:
    count = len(rows[0]["values"])
    spec = [("metric", False), ("mean", True), ("sd", True)]
    spec += [(f"seed {number}", True) for number in range(1, count + 1)]
    made: list[list[Cell]] = []
    for row in rows:
        whole = _whole(row, step)
        mean = Cell(quantity(row["mean"], row["unit"])) if whole is None else measured(whole)
        spread = Cell(number(row["sd"], row["unit"]))
        values = [Cell(quantity(value, row["unit"])) for value in row["values"]]
        made.append([Cell(row["metric"]), mean, spread, *values])
    return make(spec, made)


def _whole(row: Fact, step: Fact) -> Any:
    """The measurement whose seeds a row has."""
    place = ("checkpoint", "data", "split", "metric")
    return next((m for m in step["measurements"] if all(m[key] == row[key] for key in place)), None)
