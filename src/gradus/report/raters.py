"""What raters and judges said: how far they agree, how they place writers, how they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gradus.report.format import NONE, duration, interval, number, plain
from gradus.report.reading import Fact
from gradus.report.tables import Cell, Table, make

RATED: Final = ("mode", "criteria", "raters", "trust", "bias")
"""The facts of a step that are shown here."""


@dataclass(frozen=True, slots=True)
class Rated:
    """What one step `panel` or `judge` found: its id, the kind of step, titled tables."""

    step: str
    kind: str
    tables: tuple[tuple[str, Table], ...]


def apart(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Of a step's facts those that are of raters; none where it has no estimates by criterion."""
    criteria = facts.get("criteria")
    if not isinstance(criteria, Mapping) or not all(isinstance(c, dict) for c in criteria.values()):
        return {}
    return {name: facts[name] for name in RATED if name in facts}


def rated(step: Fact) -> Rated | None:
    """What a step says of writings; None for any other step."""
    found = step.get("rated")
    if not found:
        return None
    criteria = found["criteria"]
    mode = found.get("mode", "likert")
    scale = "1 to 5" if mode == "likert" else "strength, log-odds against the mean writer"
    about = (
        "for other texts and raters like these" if step["step"] == "panel" else "for other texts"
    )
    titled = [
        ("How far raters agree: Krippendorff\u2019s \u03b1", agreement(criteria)),
        (f"Writers by criterion ({scale}), {about}", estimates(criteria)),
        (f"Differences between writers, {about}", differences(criteria)),
        ("Preferred, share of comparisons", preferred(criteria)),
        ("What being shown first adds, log-odds", position(criteria)),
        ("Raters", raters(found.get("raters", {}))),
        ("Raters by criterion", ways(criteria)),
        ("Agreement with the panel, as gates ask for it", trust(found.get("trust", {}))),
        ("What the way of asking does to answers", bias(found.get("bias", {}))),
    ]
    tables = tuple((title, made) for title, made in titled if made)
    return Rated(step["id"], step["step"], tables)


def _ends(told: Fact | None, unit: str = "correlation") -> Cell:
    """A value with its interval, as facts hold it: ``value``, ``low``, ``high``."""
    if not told or told.get("value") is None:
        return Cell(NONE, tone="muted")
    return Cell(number(told["value"], unit), interval(told.get("low"), told.get("high"), unit))


def agreement(criteria: Fact) -> Table:
    """A row for each criterion."""
    spec = [("criterion", False), ("\u03b1", True), ("level", False), ("raters", True)]
    spec += [("texts", True), ("why not", False)]
    return make(
        spec,
        [
            (
                Cell(name),
                _ends(of["alpha"]),
                Cell(of["alpha"]["level"]),
                Cell(number(of["alpha"]["raters"])),
                Cell(number(of["alpha"]["units"])),
                Cell(of["alpha"].get("why") or ""),
            )
            for name, of in criteria.items()
            if of.get("alpha")
        ],
    )


def estimates(criteria: Fact) -> Table:
    """Rows writers, columns criteria."""
    writers = list(dict.fromkeys(w for of in criteria.values() for w in of.get("writers", {})))
    spec = [("writer", False), *((name, True) for name in criteria)]
    rows = [
        [Cell(w), *(_ends(of.get("writers", {}).get(w)) for of in criteria.values())]
        for w in writers
    ]
    return make(spec, rows)


def differences(criteria: Fact) -> Table:
    """Each writer against each later one; of columns criteria."""
    told = {
        name: {(row["writer"], row["other"]): row for row in of.get("differences", ())}
        for name, of in criteria.items()
    }
    both = list(dict.fromkeys(pair for of in told.values() for pair in of))
    spec = [("writer", False), ("less", False), *((name, True) for name in criteria)]
    rows = [
        [Cell(one), Cell(other), *(_ends(of.get((one, other))) for of in told.values())]
        for one, other in both
    ]
    return make(spec, rows)


def preferred(criteria: Fact) -> Table:
    """How often one writer's text was preferred to another's, ties counted half."""
    spec = [("criterion", False), ("writer", False), ("to", False), ("share", True)]
    return make(
        spec,
        [
            (Cell(name), Cell(row["writer"]), Cell(row["other"]), _ends(row))
            for name, of in criteria.items()
            for row in of.get("preferred", ())
        ],
    )


def position(criteria: Fact) -> Table:
    """Of pairs: the advantage of the text that is shown first, and how many were ties."""
    rows = [
        (Cell(name), _ends(of["first"]), Cell(number(of.get("ties"), "proportion")))
        for name, of in criteria.items()
        if of.get("first")
    ]
    return make([("criterion", False), ("shown first", True), ("no difference", True)], rows)


def raters(found: Fact) -> Table:
    """A row for each rater: how much was answered, how carefully, how fast."""
    spec = [("rater", False), ("ratings", True), ("checks right", True), ("left out", False)]
    rows = []
    for name, of in found.items():
        checks = f"{of['passed']} of {of['checks']}" if of.get("checks") else NONE
        rows.append(
            [
                Cell(name),
                Cell(number(of.get("ratings"))),
                Cell(checks),
                Cell("left out", tone="warn") if of.get("left_out") else Cell(""),
                Cell(duration(of.get("median_seconds"))),
            ]
        )
    return make([*spec, ("median time", True)], rows)


def ways(criteria: Fact) -> Table:
    """A row for each rater and criterion: how leniently, how differently, how much like others."""
    spec = [("rater", False), ("criterion", False), ("leniency", True), ("spread", True)]
    return make(
        [*spec, ("goes with others", True)],
        [
            (
                Cell(name),
                Cell(criterion),
                _ends(of.get("leniency")),
                Cell(number(of.get("spread"), "correlation")),
                Cell(number(of.get("consistency"), "correlation")),
            )
            for criterion, told in criteria.items()
            for name, of in told.get("raters", {}).items()
        ],
    )


def trust(found: Fact) -> Table:
    """Whether a judge agrees with the panel as far as the plan asks."""
    spec = [("metric", False), ("agreement", True), ("asked for", True), ("met", False)]
    spec += [("n", True), ("panel", False), ("measure", False)]
    return make(
        spec,
        [
            (
                Cell(metric),
                _ends(of),
                Cell(number(of["bound"])),
                Cell("yes", sign="\u2713", tone="good")
                if of["met"]
                else Cell("no", sign="\u2715", tone="bad"),
                Cell(number(of["n"])),
                Cell(plain(of["panel"])),
                Cell(plain(of["measure"])),
            )
            for metric, of in found.items()
        ],
    )


def bias(found: Fact) -> Table:
    """The effects of turned scales and of position, by criterion where there are several."""
    spec = [("of", False), ("effect", False), ("size", True)]
    rows = []
    for name, of in found.items():
        if isinstance(of, dict) and "value" in of:
            rows.append((Cell("pairs"), Cell(name.replace("_", " ")), _ends(of)))
        elif isinstance(of, dict):
            rows += [(Cell(name), Cell(k.replace("_", " ")), _ends(v)) for k, v in of.items()]
    return make(spec, rows)
