"""What distilling gave: against the same student alone, term by term, teacher by teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from gradus.report.charts.lines import Series, legend, line_chart
from gradus.report.format import NONE, interval, number, p_value, percent, signed
from gradus.report.reading import Fact, directions, significance, units
from gradus.report.tables import CHANGES, Cell, Table, Tone, make

TERMS: Final = {
    "soft": "soft targets",
    "reverse": "reverse divergence",
    "hard": "labels",
    "hidden": "hidden states",
    "attention": "attention maps",
    "relations": "relations",
    "mixture": "the teachers' own, for their weights",
}
WEIGHTINGS: Final = {
    "one teacher": "One teacher.",
    "fixed": "Several teachers, mixed by the plan's weights.",
    "learned": "Several teachers; their weights were learned on the labels of train.",
    "agreement": "Several teachers; each counts, text by text, by the probability that it gives to "
    "the label.",
    "confidence": "Several teachers; each counts, text by text, by how sure it is.",
}
STYLES: Final = 4
SHOWN: Final = ("teachers", "losses", "alone")
"""Facts of a step that this section shows or rests on."""
Said = tuple[str, Tone, str]


@dataclass(frozen=True, slots=True)
class Distilled:
    """A step as the page shows it.

    Attributes:
        step: its id.
        said: sign, tone and sentence: what the teachers gave, and what its gates say of it.
        terms: the loss's terms with their weights, first and last.
        chart: the terms over training, with its legend; None where there are fewer than two points.
        weighting: a sentence on how teachers are mixed.
        teachers: each alone, all together, all but each, on dev.select.
    """

    step: str
    said: tuple[Said, ...]
    terms: Table
    chart: tuple[Markup, Markup] | None
    weighting: str
    teachers: Table


def distilled(known: Fact) -> list[Distilled]:
    """Every step `distil` that got as far as facts."""
    return [_shown(step, known) for step in known["steps"] if _is_distilled(step)]


def _is_distilled(step: Fact) -> bool:
    return bool(step["step"] == "distil" and step["facts"].get("losses"))


def _shown(step: Fact, known: Fact) -> Distilled:
    facts = step["facts"]
    teachers = facts.get("teachers") or {}
    rows = [r for r in (step["curves"] or {}).get("rows", ()) if not _alone(r)]
    added = teachers.get("rows_without_labels")
    weighting = WEIGHTINGS.get(teachers.get("weighting", ""), "")
    if added:
        weighting += f" {added:,} rows of train have no label; their teachers alone speak of them."
    return Distilled(
        step=step["id"],
        said=(*_gave(step, known), *_verdicts(step, known)),
        terms=_terms(facts, rows),
        chart=_chart(step, rows),
        weighting=weighting,
        teachers=_teachers(teachers),
    )


def _alone(row: Fact) -> bool:
    return str(row.get("train", "")).startswith("alone")


def _gave(step: Fact, known: Fact) -> list[Said]:
    """A sentence a metric: the student against itself without teachers, as a paired test."""
    control = f"{step['id']}.alone"
    ways, kinds = directions(known["steps"]), units(known["steps"])
    found: list[Said] = []
    for c in step["changes"]:
        if c.get("against") != control or c.get("difference") is None:
            continue
        metric = c.get("metric", "")
        unit = kinds.get(metric, "")
        sign, meaning, tone = CHANGES[significance(c, ways.get(metric))]
        bounds = interval(c.get("ci_low"), c.get("ci_high"), unit)
        p = p_value(c.get("p_value"))
        told = ", ".join(part for part in (bounds, p, f"n = {number(c.get('n'))}") if part)
        text = (
            f"What the teachers gave: {metric} {signed(c['difference'], unit)} against the same "
            f"student trained without them ({told}): {meaning}."
        )
        found.append((sign, tone, text))
    if found:
        return found
    if not step["facts"].get("alone"):
        return [
            (
                "≈",
                "muted",
                "Whether the teachers gave anything isn't known: the same student "
                "without them was not trained (alone: true).",
            )
        ]
    return [("≈", "muted", f"{control} shares no measured items with the student.")]


def _verdicts(step: Fact, known: Fact) -> list[Said]:
    """Gates that hold this student against that of another step `distil`."""
    others = {s["id"]: s for s in known["steps"] if s["step"] == "distil" and s is not step}
    found: list[Said] = []
    for gate in step["gates"]:
        other = next((name for name in others if name in str(gate["gate"]).split()), None)
        if other is None:
            continue
        mine, theirs = _count(step), _count(others[other])
        open_ = gate["verdict"] == "open"
        tone: Tone = "good" if open_ else "bad" if gate["verdict"] == "closed" else "warn"
        who = f"{mine} against {theirs} of {other}" if mine and theirs else f"against {other}"
        why = str(gate["why"]).rstrip(".")
        text = f"Teachers: {who}. The gate “{gate['gate']}” is {gate['verdict']}: {why}."
        found.append(("✓" if open_ else "✕" if tone == "bad" else "?", tone, text))
    return found


def _count(step: Fact) -> int:
    return len(((step["facts"].get("teachers") or {}).get("weights")) or ())


def _terms(facts: Fact, rows: Sequence[Fact]) -> Table:
    """Weight of each term, and its mean over train at the first and the last point."""
    spec = [("term", False), ("weight", True), ("at first", True), ("at last", True)]
    spec += [("on dev.select", True)]
    weights = facts["losses"]
    made = []
    for name, title in TERMS.items():
        values = [row[f"train_{name}"] for row in rows if _number(row.get(f"train_{name}"))]
        held = [row[f"select_{name}"] for row in rows if _number(row.get(f"select_{name}"))]
        if not values and not weights.get(name):
            continue
        made.append(
            (
                Cell(title, name),
                Cell(number(weights.get(name, 1.0))),
                Cell(number(values[0], "nats") if values else NONE),
                Cell(number(values[-1], "nats") if values else NONE),
                Cell(number(held[-1], "nats") if held else NONE),
            )
        )
    return make(spec, made)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _chart(step: Fact, rows: Sequence[Fact]) -> tuple[Markup, Markup] | None:
    series: list[Series] = []
    for name, title in TERMS.items():
        key = f"train_{name}"
        points = tuple((float(r["x"]), float(r[key])) for r in rows if _number(r.get(key)))
        if len(points) > 1:
            series.append(Series(name=title, style=len(series) % STYLES + 1, points=points))
    if not series:
        return None
    axis = step["curves"]["axis"] or ""
    return line_chart(f"{step['id']}, terms of the loss", series, (), axis), legend(series)


def _teachers(facts: Fact) -> Table:
    """The ablation, on dev.select."""
    spec = [("teachers", False), ("weight", True), ("accuracy", True), ("loss", True)]
    spec += [("RMSE", True), ("student's soft loss", True), ("student agrees", True)]
    spec += [("RMSE to the student", True)]
    return make(
        spec,
        [
            (
                Cell(str(row["teachers"])),
                Cell(_told(row.get("weight"))),
                Cell(_share(row.get("accuracy"))),
                Cell(_told(row.get("loss"), "nats")),
                Cell(_told(row.get("rmse"))),
                Cell(_told(row.get("student_soft_loss"), "nats")),
                Cell(_share(row.get("student_agreement"))),
                Cell(_told(row.get("student_rmse"))),
            )
            for row in facts.get("ablation") or ()
        ],
    )


def _told(value: Any, unit: str = "") -> str:
    return number(value, unit) if _number(value) else NONE


def _share(value: Any) -> str:
    return percent(value) if _number(value) else NONE
