"""How often the data have been looked at, and how optimistic what chose on them is."""

from __future__ import annotations

from collections.abc import Sequence

from gradus.report.format import count, interval, number, quantity, signed
from gradus.report.reading import Fact
from gradus.report.tables import Cell, Table, make

NONE_SURE = Cell("not significant", sign="≈", tone="muted")
OPTIMISTIC = Cell("optimistic", sign="▲", tone="warn")
PESSIMISTIC = Cell("pessimistic", sign="▼", tone="muted")


def looks(known: Fact) -> list[str]:
    """A sentence for each data set and corpus; none where nothing was looked at."""
    found = [f"{name}: {told}." for name, of in known["looks"].items() if (told := _told(of))]
    return [*found, *_holdouts(known)]


def _holdouts(known: Fact) -> list[str]:
    """Where each reusable hold-out stood after the last step that asked it."""
    last: dict[str, Fact] = {}
    for step in known["steps"]:
        last |= step["facts"].get("holdout") or {}
    return [
        f"{name}: dev.gate answers through Thresholdout; {of['spent']} of "
        f"{count(of['budget'], 'answer')} of its own are spent, after "
        f"{count(of['asked'], 'question')}."
        for name, of in last.items()
    ]


def _told(of: Fact) -> str:
    said = []
    if "dev.gate" in of:
        said.append(f"dev.gate has been looked at {count(of['dev.gate'], 'time')}")
    if "test" in of:
        said.append(f"test {count(of['test'], 'time')}")
    if of.get("dev.select"):
        compared = count(of["dev.select"], "configuration")
        have = "has" if of["dev.select"] == 1 else "have"
        said.append(f"{compared} {have} been compared on dev.select")
    return ", ".join(said)


def optimism(known: Fact) -> Table:
    """Of each checkpoint that was chosen on dev.select, its score there and on dev.gate."""
    spec = [("checkpoint", False), ("metric", False), ("dev.select", True), ("dev.gate", True)]
    spec += [("optimism", True), ("", False)]
    rows = [row for step in known["steps"] for row in step["optimism"]]
    several = len({row["data"] for row in rows}) > 1
    return make(spec, [_row(row, several) for row in rows])


def _row(row: Fact, several: bool) -> Sequence[Cell]:
    unit = row["unit"]
    sign = NONE_SURE
    if row["ci_low"] is not None and row["ci_low"] > 0:
        sign = OPTIMISTIC
    elif row["ci_high"] is not None and row["ci_high"] < 0:
        sign = PESSIMISTIC
    return (
        Cell(row["checkpoint"], row["data"] if several else ""),
        Cell(row["metric"]),
        *(
            Cell(
                quantity(of["value"], unit),
                f"{interval(of['ci_low'], of['ci_high'], unit)}, n = {number(of['n'])}",
            )
            for of in (row["select"], row["gate"])
        ),
        Cell(signed(row["optimism"], unit), interval(row["ci_low"], row["ci_high"], unit)),
        sign,
    )
