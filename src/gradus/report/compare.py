"""A comparison for readers: sentences and tables from its facts, as a page and as Markdown.

The facts are what `gradus compare --json` prints; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from gradus.report import format as write
from gradus.report import tables
from gradus.report.charts import forest
from gradus.report.charts.scaling import Point, scaling_chart, short
from gradus.report.format import interval, number, p_value, quantity, signed
from gradus.report.html import environment
from gradus.report.markdown import fence, table, text
from gradus.report.reading import Fact
from gradus.report.sections import difference_mark
from gradus.report.tables import CHANGES, Cell, Table, make

HARDLY: Final = 10
"""An exponent whose interval spans such a factor is as good as unknown."""


@dataclass(frozen=True, slots=True)
class PlaceShown:
    """One place as the page shows it."""

    on: str
    measured: Table
    plots: tuple[forest.Plot, ...]
    differences: Table
    refused: Table
    disagreements: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class ScalingShown:
    """One scaling view as the page shows it."""

    title: str
    said: str
    chart: Markup
    points: Table


def compare_html(known: Fact) -> str:
    """The comparison as one HTML file in the look of a run's report."""
    said = sentences(known)
    return (
        environment()
        .get_template("compare.html.j2")
        .render(
            known=known,
            title=said[0] if said else scaling_title(known["scaling"][0]),
            sentences=said,
            places=[_place(place) for place in known["places"]],
            scaling=[_scaling(view) for view in known["scaling"]],
            notes=notes(known),
        )
    )


def compare_markdown(known: Fact) -> str:
    """The same as GitHub-flavoured Markdown, without the charts."""
    parts = [f"# {text(' and '.join(known['models']))}"]
    parts += [text(sentence) for sentence in sentences(known)]
    for place in known["places"]:
        shown = _place(place)
        parts += [f"## {text(place['on'])}", table(shown.measured), table(shown.differences)]
        parts.append(table(shown.refused))
        for pair in shown.disagreements:
            parts.append(
                f"### Where {text(pair['first'])} and {text(pair['second'])} disagree most"
            )
            for item in pair["items"]:
                parts += [text(_told(pair, item)), fence(item["text"])]
    for view in known["scaling"]:
        parts += [f"## {text(scaling_title(view))}", text(scaling_said(view))]
        parts.append(table(scaling_points(view)))
    if notes(known):
        parts.append("## Notes\n\n" + "\n".join(f"- {text(note)}" for note in notes(known)))
    return "\n\n".join(part for part in parts if part) + "\n"


def sentences(known: Fact) -> list[str]:
    """What the first metric of each place says, one sentence a place."""
    return [_sentence(place) for place in known["places"] if place["pairs"]]


def _sentence(place: Fact) -> str:
    metric = place["pairs"][0]["metric"]
    rows = [row for row in place["pairs"] if row["metric"] == metric]
    better = [row for row in rows if row["better"]]
    if better:
        said = [
            f"{row['better']} is better than {row['second']} ({_by_how_much(row)})"
            for row in map(_better_first, better)
        ]
        rest = len(rows) - len(better)
        more = f"; {write.count(rest, 'pair')} can't be told apart" if rest else ""
        return f"By {metric} on {place['on']}, {'; '.join(said)}{more}."
    row = rows[0]
    if len(rows) > 1:
        return f"By {metric} on {place['on']}, none of {len(rows)} pairs can be told apart."
    told = f"By {metric} on {place['on']}, {row['first']} and {row['second']} can't be told apart"
    return f"{told} ({_by_how_much(row)})."


def _better_first(row: Fact) -> Fact:
    """A pair the other way round where its second model is the better one."""
    if row["better"] == row["first"]:
        return row
    low, high = row["ci_low"], row["ci_high"]
    return {
        **row,
        "first": row["second"],
        "second": row["first"],
        "difference": -row["difference"],
        "ci_low": None if high is None else -high,
        "ci_high": None if low is None else -low,
    }


def _by_how_much(row: Fact) -> str:
    bounds = interval(row["ci_low"], row["ci_high"], row["unit"])
    p = p_value(row["p_holm"])
    told = f"{signed(row['difference'], row['unit'])} {bounds}".rstrip()
    return f"{told}, {p}" if p else told


def _place(place: Fact) -> PlaceShown:
    plots = []
    for metric in dict.fromkeys(row["metric"] for row in place["pairs"]):
        rows = [row for row in place["pairs"] if row["metric"] == metric]
        arrow = " (less is better)" if rows[0]["direction"] == "lower" else ""
        marks = [
            forest.Row(_pair(row), (difference_mark(row, row["unit"]),))
            for row in rows
            if row["difference"] is not None
        ]
        plots.append(forest.plot(f"{metric}{arrow}", marks, rule=0.0))
    return PlaceShown(
        on=place["on"],
        measured=values(place),
        plots=tuple(plots),
        differences=differences(place["pairs"]),
        refused=refused(place["refused"]),
        disagreements=tuple(
            {
                **pair,
                "items": [{**item, "told": signed(item["difference"])} for item in pair["items"]],
            }
            for pair in place["disagreements"]
            if pair["items"]
        ),
    )


def values(place: Fact) -> Table:
    """Every model with its metrics and their intervals."""
    return tables.grid(place["measurements"])


def _pair(row: Fact) -> str:
    return f"{row['first']} {write.MINUS} {row['second']}"


def differences(rows: Sequence[Fact]) -> Table:
    """Every pair and metric: the difference with its interval, what it says, p, detectable, n."""
    spec = [("metric", False), ("pair", False), ("difference", True), ("meaning", False)]
    spec += [("p (Holm)", True), ("p", True), ("only first", True), ("only second", True)]
    spec += [("detectable", True), ("n", True), ("n needed", True), ("test", False)]
    spec += [("note", False)]
    made = []
    alone = all(row["p_holm"] == row["p_value"] for row in rows)  # families of one
    for row in rows:
        unit, way = row["unit"], row["direction"]
        sign, meaning, tone = CHANGES[_kind(row)]
        made.append(
            (
                Cell(f"{row['metric']} ↓" if way == "lower" else row["metric"]),
                Cell(_pair(row)),
                Cell(
                    signed(row["difference"], unit), interval(row["ci_low"], row["ci_high"], unit)
                ),
                Cell(f"{row['better']} better" if row["better"] else meaning, "", sign, tone),
                Cell(_p(row["p_holm"])),
                Cell("" if alone else _p(row["p_value"])),
                Cell(number(row["only_first"])),
                Cell(number(row["only_second"])),
                Cell(number(row["detectable"], unit)),
                Cell(number(row["n"])),
                Cell(number(row["n_needed"])),
                Cell(row["test"]),
                Cell(row["note"]),
            )
        )
    return make(spec, made)


def _kind(row: Fact) -> str:
    """Which sign stands before the meaning: the first model gains, loses, or neither shows."""
    if row["significant"] is None:
        return "untested"
    if not row["significant"]:
        return "same"
    return "better" if row["better"] == row["first"] else "worse"


def _p(value: float | None) -> str:
    return p_value(value).removeprefix("p ").removeprefix("= ")


def refused(rows: Sequence[Fact]) -> Table:
    """What isn't compared, and why."""
    spec = [("pair", False), ("metric", False), ("why", False)]
    return make(spec, [(Cell(_pair(r)), Cell(r["metric"] or "all"), Cell(r["why"])) for r in rows])


def _told(pair: Fact, item: Fact) -> str:
    """One disagreement in a line: the truth, both answers with their probability, the gap."""

    def answer(side: str) -> str:
        p = item[f"{side}_probability"]
        sure = "" if p is None else f" ({number(p, 'proportion')})"
        return f"{pair[side]}: {item[side]}{sure}"

    return (
        f"truth: {item['truth']}; {answer('first')}; {answer('second')}; "
        f"{signed(item['difference'])} in {pair['unit']}"
    )


def disagreement_lines(place: Fact) -> list[tuple[str, list[tuple[str, str]]]]:
    """For a terminal: a title a pair, and its items as a line of answers and the text."""
    return [
        (
            f"{pair['first']} and {pair['second']} disagree most on",
            [(_told(pair, item), item["text"]) for item in pair["items"]],
        )
        for pair in place["disagreements"]
        if pair["items"]
    ]


def notes(known: Fact) -> list[str]:
    """Every place's notes, each once, and what was refused before anything was measured."""
    return list(
        dict.fromkeys([*known["notes"], *(n for place in known["places"] for n in place["notes"])])
    )


def scaling_title(view: Fact) -> str:
    """What is drawn against what."""
    return f"{view['metric']} against {view['axis']}, {view['on']}"


def scaling_said(view: Fact) -> str:
    """The law in words, or why there is none."""
    law = view["law"]
    if law is None:
        return f"No power law: {view['why']}."
    unit, level = view["unit"], write.percent(view["level"])
    sign = write.MINUS if law["factor"] < 0 else "+"
    hardly = law["exponent_high"] > HARDLY * law["exponent_low"]
    said = (
        f"{view['metric']} = {number(law['limit'], unit)} {sign} {abs(law['factor']):.3g} "
        f"x^{write.MINUS}{number(law['exponent'])} through {law['points']} points, exponent "
        f"{interval(law['exponent_low'], law['exponent_high'])} ({level}, over items"
        f"{', which hardly determine it' if hardly else ''}); it explains "
        f"{write.percent(law['explained'])} of the variance."
    )
    for p in view["predictions"]:
        bounds = interval(p["ci_low"], p["ci_high"], unit)
        said += f" At {short(p['x'])} it predicts {quantity(p['value'], unit)} {bounds}."
    return said


def scaling_points(view: Fact) -> Table:
    """Each model's x and value, and what the law predicts elsewhere."""
    spec = [("model", False), (view["axis"], True), (view["metric"], True)]
    rows = [
        (Cell(p["model"]), Cell(short(p["x"])), _value(p, view["unit"])) for p in view["points"]
    ]
    rows += [
        (Cell("predicted", tone="muted"), Cell(short(p["x"])), _value(p, view["unit"]))
        for p in view["predictions"]
    ]
    return make(spec, rows)


def _value(p: Fact, unit: str) -> Cell:
    return Cell(quantity(p["value"], unit), interval(p["ci_low"], p["ci_high"], unit))


def _scaling(view: Fact) -> ScalingShown:
    points = [_point(p, view, str(p["model"]), measured=True) for p in view["points"]]
    points += [_point(p, view, "predicted", measured=False) for p in view["predictions"]]
    curve = [(p["x"], p["value"], p["ci_low"], p["ci_high"]) for p in view["curve"]]
    drawn = [point for point in points if point is not None]
    title = scaling_title(view)
    chart = scaling_chart(title, drawn, curve, view["axis"])
    return ScalingShown(title, scaling_said(view), chart, scaling_points(view))


def _point(p: dict[str, Any], view: Fact, name: str, *, measured: bool) -> Point | None:
    value = p["value"]
    if value is None:
        return None
    told = _value(p, view["unit"])
    return Point(
        x=p["x"],
        value=value,
        low=value if p["ci_low"] is None else p["ci_low"],
        high=value if p["ci_high"] is None else p["ci_high"],
        told=f"{name} at {short(p['x'])}: {told}",
        measured=measured,
    )
