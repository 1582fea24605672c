"""Benchmarks on published files: what was measured beside what was published, parents compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradus.report.format import NONE, interval, number, p_value, plain, signed
from gradus.report.reading import Fact, checkpoints, on_file, significance
from gradus.report.tables import CHANGES, Cell, Table, make, measured


@dataclass(frozen=True, slots=True)
class Suite:
    """The benchmarks of one step: its id, what was measured, what changed, what they were."""

    step: str
    table: Table
    changes: Table
    about: Table


def suites(known: Fact) -> list[Suite]:
    """One for each step that was measured on benchmarks."""
    return [
        Suite(
            step=step["id"],
            table=suite(step["measurements"], step["benchmarks"]),
            changes=changes(step),
            about=about(step["benchmarks"]),
        )
        for step in known["steps"]
        if step.get("benchmarks")
    ]


def suite(measurements: Sequence[Fact], rows: Sequence[Fact]) -> Table:
    """A row for each benchmark and metric, a column for each checkpoint, then published figures.

    Shown are the metrics that a benchmark compares and those that have a published figure; every
    other one is among all measurements.
    """
    found = {(m["data"], m["metric"], m["checkpoint"]): m for m in measurements if on_file(m)}
    names = checkpoints(found.values())
    benchmarks = {row["name"]: row for row in reversed(rows)}
    order = list(dict.fromkeys(row["name"] for row in rows))
    whose = list(dict.fromkeys(p["whose"] for name in order for p in benchmarks[name]["published"]))
    spec = [("benchmark", False), ("metric", False), ("unit", False), ("n", True)]
    spec += [("chance", True), *((name, True) for name in names)]
    spec += [(f"published: {one}", True) for one in whose]
    made = []
    for name in order:
        about = benchmarks[name]
        for metric in _shown(about, found):
            own = {one: found.get((name, metric, one)) for one in names}
            first = next(m for m in own.values() if m is not None)
            made.append(
                [
                    Cell(name),
                    Cell(f"{metric} ↓" if first["direction"] == "lower" else metric),
                    Cell(first["unit"]),
                    Cell(", ".join(number(n) for n in _sizes(own.values()))),
                    _chance(about, metric, first["unit"]),
                    *(measured(own[one]) for one in names),
                    *(_figure(about, metric, one, first["unit"]) for one in whose),
                ]
            )
    return make(spec, made)


def _shown(about: Fact, found: dict[tuple[str, str, str], Fact]) -> list[str]:
    """The metrics of a benchmark that have a row; the first measured where none is compared."""
    there = list(dict.fromkeys(metric for name, metric, _ in found if name == about["name"]))
    wanted = [*about["compared"], *(p["metric"] for p in about["published"])]
    plain = dict.fromkeys(wanted)
    # A metric may be asked of several labels, as outcome[exact_match] of a task's own numbers.
    return [m for one in plain for m in there if m.partition("[")[0] == one] or there[:1]


def _sizes(found: Iterable[Fact | None]) -> list[int]:
    return sorted({m["n"] for m in found if m is not None})


def _chance(about: Fact, metric: str, unit: str) -> Cell:
    if about["chance"] is None or metric != next(iter(about["compared"]), None):
        return Cell(NONE, tone="muted")
    return Cell(number(about["chance"], unit))


def _figure(about: Fact, metric: str, whose: str, unit: str) -> Cell:
    for published in about["published"]:
        if published["metric"] == metric and published["whose"] == whose:
            return Cell(number(published["value"], unit), tone="muted")
    return Cell(NONE, tone="muted")


def changes(step: Fact) -> Table:
    """Each checkpoint against the one that it was made from, on the same items."""
    ways = {m["metric"]: m["direction"] for m in step["measurements"]}
    kinds = {m["metric"]: m["unit"] for m in step["measurements"]}
    spec = [("checkpoint", False), ("against", False), ("benchmark", False), ("metric", False)]
    spec += [("difference", True), ("meaning", False), ("p", True), ("n", True)]
    rows = []
    for c in step["benchmark_changes"]:
        unit = kinds.get(c["metric"], "")
        sign, meaning, tone = CHANGES[significance(c, ways.get(c["metric"]))]
        rows.append(
            (
                Cell(c["checkpoint"]),
                Cell(c["against"]),
                Cell(c["data"]),
                Cell(c["metric"]),
                Cell(
                    signed(c["difference"], unit),
                    interval(c["ci_low"], c["ci_high"], unit),
                ),
                Cell(meaning, sign=sign, tone=tone),
                Cell(p_value(c["p_value"]).removeprefix("p ").removeprefix("= ")),
                Cell(number(c["n"])),
            )
        )
    return make(spec, rows)


def about(rows: Sequence[Fact]) -> Table:
    """Where each benchmark's file comes from, which it is, and how fast the models were asked."""
    spec = [("benchmark", False), ("checkpoint", False), ("dtype", False), ("documents", True)]
    spec += [("tokens/s", True), ("file", False), ("sha256", False), ("known as", False)]
    spec += [("published at", False), ("licence", False)]
    return make(
        spec,
        [
            (
                Cell(row["name"], row["benchmark"]),
                Cell(row["checkpoint"]),
                Cell(row["dtype"]),
                Cell(number(row["documents"])),
                Cell(number(row["tokens_per_second"], "tokens/s")),
                Cell(plain(row["file"])),
                Cell(plain(row["sha256"])),
                Cell(plain(row["known_as"])),
                Cell(row["origin"]),
                Cell(row["licence"]),
            )
            for row in rows
        ],
    )


def sources(rows: Sequence[Fact]) -> list[str]:
    """Where the published figures come from, each source once."""
    return list(dict.fromkeys(p["source"] for row in rows for p in row["published"]))


def settings(rows: Sequence[Fact]) -> list[str]:
    """Under which settings figures were published, as far as their source says.

    >>> figure = {"metric": "accuracy", "note": "with a stop-word filter"}
    >>> settings([{"name": "lambada", "published": [figure, figure]}])
    ['lambada accuracy (with a stop-word filter)']
    """
    said = [
        f"{row['name']} {p['metric']} ({p['note']})"
        for row in rows
        for p in row["published"]
        if p["note"]
    ]
    return list(dict.fromkeys(said))


def as_published(rows: Sequence[Fact]) -> str:
    """One sentence on the columns headed published; empty where there is none."""
    found = sources(rows)
    if not found:
        return ""
    told = f"Columns headed published weren't measured here: {'; '.join(found)}, on whole sets."
    under = settings(rows)
    return f"{told} Taken there: {', '.join(under)}." if under else told
