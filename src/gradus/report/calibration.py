"""What calibration changed: reliability, accuracy by coverage, and what was settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from gradus.report.charts.lines import Series, legend, line_chart
from gradus.report.format import number, percent
from gradus.report.reading import Fact
from gradus.report.tables import Cell, Table, make

KIND: Final = "calibrate"
SHOWN: Final = ("select", "reliability", "answered", "thresholds", "abstain", "labels", "repair")
"""Facts of a step that this section shows."""
WHEN: Final = {"before": 3, "after": 1}
RANKED: Final = {"calibrated": 1, "margin before": 3}
DIAGONAL: Final = 4


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its legend, and the same numbers in a table."""

    title: str
    chart: tuple[Markup, Markup]
    table: Table


@dataclass(frozen=True, slots=True)
class Shown:
    """A step as the page shows it.

    Attributes:
        step: its id.
        said: what was settled, a sentence each.
        scores: metrics on dev.select before and after.
        figures: reliability, and accuracy by coverage.
        thresholds: by label.
    """

    step: str
    said: tuple[str, ...]
    scores: Table
    figures: tuple[Figure, ...]
    thresholds: Table


def calibrations(known: Fact) -> list[Shown]:
    """The steps `calibrate` that got as far as facts."""
    found = [s for s in known["steps"] if s["step"] == KIND and s["facts"].get("select")]
    return [_shown(step) for step in found]


def _shown(step: Fact) -> Shown:
    facts = step["facts"]
    kept = (facts.get("thresholds") or {}).get("kept") or {}
    cut = [[Cell(label), Cell(number(value))] for label, value in sorted(kept.items())]
    return Shown(
        step=step["id"],
        said=tuple(_said(facts)),
        scores=_scores(facts["select"]),
        figures=tuple(_figures(step["id"], facts)),
        thresholds=make([("label", False), ("threshold", True)], cut),
    )


def _said(facts: Mapping[str, Any]) -> list[str]:
    told = []
    if "fitted_on" in facts:
        told.append(
            f"Temperature {number(facts['temperature'])}, the most likely one on "
            f"{number(facts['fitted_on'])} rows of dev.select."
        )
    elif facts["temperature"] != 1.0:
        told.append(f"Temperature {number(facts['temperature'])}, as the plan gives it.")
    tuned = facts.get("thresholds")
    if tuned:
        kept = "" if tuned["kept"] else ", so that none were kept"
        told.append(
            f"Thresholds by label for {tuned['metric']}: {number(tuned['before'])} without them, "
            f"{number(tuned['held_out'])} on items that they weren't tuned on{kept}."
        )
    told += _abstains(facts.get("abstain"))
    if facts.get("labels"):
        named = ", ".join(f"{old} to {new}" for old, new in facts["labels"].items())
        told.append(f"Labels are called something else: {named}.")
    if facts.get("repair"):
        told.append(f"Spans are made of tags by '{facts['repair']}'.")
    return told


def _abstains(abstain: Mapping[str, Any] | None) -> list[str]:
    if not abstain:
        return []
    if "coverage" not in abstain:
        return [f"No answer below a probability of {number(abstain['below'])}."]
    right = "none" if abstain["accuracy"] is None else percent(abstain["accuracy"])
    told = (
        f"No answer below a probability of {number(abstain['below'])}: "
        f"{percent(abstain['coverage'])} of dev.select is answered, {right} of it right"
    )
    if abstain.get("least") is None:
        return [f"{told}."]
    asked = abstain["asked"]
    return [
        f"{told}; with a confidence of {percent(asked.get('confidence', 0.95))} answers are right "
        f"in at least {percent(asked['accuracy'])} of cases."
    ]


def _scores(select: Mapping[str, Mapping[str, float]]) -> Table:
    names = [name for name in select["after"] if name in select["before"]]
    spec = [("on dev.select", False), ("before", True), ("after", True)]
    rows = [
        [Cell(name), *(Cell(number(select[when][name])) for when in ("before", "after"))]
        for name in names
    ]
    return make(spec, rows)


def _figures(step: str, facts: Mapping[str, Any]) -> list[Figure]:
    found = []
    bins = facts.get("reliability") or {}
    if bins:
        series = [
            Series(when, style, tuple((row["probability"], row["right"]) for row in bins[when]))
            for when, style in WHEN.items()
            if bins.get(when)
        ]
        series.append(Series("as sure as right", DIAGONAL, ((0.0, 0.0), (1.0, 1.0))))
        title = "Share right by probability, bins of equal mass of dev.select"
        found.append(_figure(step, title, series, "probability", _bins(bins)))
    answered = facts.get("answered") or {}
    if answered:
        series = [
            Series(name, style, tuple((x, y) for x, y in answered[name]))
            for name, style in RANKED.items()
        ]
        level = answered["random"][-1][1]
        series.append(Series("random order", DIAGONAL, ((0.0, level), (1.0, level))))
        title = "Accuracy of what is answered by coverage, the surest first, on dev.select"
        spec = [("coverage", True), *((name, True) for name in RANKED)]
        found.append(_figure(step, title, series, "coverage", make(spec, _points(answered))))
    return found


def _figure(step: str, title: str, series: Sequence[Series], axis: str, table: Table) -> Figure:
    chart = line_chart(f"{step}: {title}", series, (), axis)
    return Figure(title, (chart, legend(series)), table)


def _bins(bins: Mapping[str, Sequence[Mapping[str, float]]]) -> Table:
    spec = [("", False), ("items", True), ("mean probability", True), ("share right", True)]
    rows = [
        [
            Cell(when),
            Cell(number(row["n"])),
            Cell(number(row["probability"])),
            Cell(number(row["right"]), f"{number(row['low'])} to {number(row['high'])}"),
        ]
        for when in WHEN
        for row in bins.get(when, ())
    ]
    return make(spec, rows)


def _points(answered: Mapping[str, Sequence[Sequence[float]]]) -> list[list[Cell]]:
    """Coverages that both rankings have; equally sure items are answered together."""
    values = [{round(x, 6): y for x, y in answered[name]} for name in RANKED]
    shared = sorted(set.intersection(*(set(of) for of in values)))
    return [[Cell(number(x)), *(Cell(number(of[x])) for of in values)] for x in shared]
