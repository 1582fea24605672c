"""How much data: the metric against the size of train, and what twice as much would give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from gradus.report.charts.scaling import Point, scaling_chart
from gradus.report.format import count, interval, number, percent, quantity, signed
from gradus.report.reading import Fact
from gradus.report.tables import Cell, Table, make

KIND: Final = "learning-curve"
SHOWN: Final = ("learning",)
"""Facts of a step that this section shows."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One learning curve: the step, what it is of, the answer, chart and table."""

    step: str
    about: str
    answer: str
    law: str
    chart: Markup
    points: Table


def learning(known: Fact) -> list[Shown]:
    """The learning curves of a run."""
    found = [(step["id"], step["facts"].get("learning")) for step in known["steps"]]
    return [_shown(name, facts) for name, facts in found if facts and facts["points"]]


def _shown(step: str, facts: Fact) -> Shown:
    unit = facts["unit"]
    points = [
        Point(
            p["n"],
            p["value"],
            p["ci_low"],
            p["ci_high"],
            f"{number(p['n'])} texts: {quantity(p['value'], unit)}"
            f" {interval(p['ci_low'], p['ci_high'], unit)}",
        )
        for p in facts["points"]
        if None not in (p["value"], p["ci_low"], p["ci_high"])
    ]
    curve = [(x, v, low, high) for x, v, low, high in facts.get("curve", ())]
    title = f"{step}, {facts['metric']} against texts in train"
    return Shown(
        step,
        f"{facts['metric']} on {count(facts['items'], 'item')} of dev.select, mean of "
        f"{count(facts['draws'], 'nested draw')} each; {percent(facts['level'])} intervals over "
        "draws and items.",
        _answer(facts),
        _law(facts),
        scaling_chart(title, points, curve, "texts"),
        _table(facts),
    )


def _answer(facts: Fact) -> str:
    if "twice" not in facts:
        return f"What twice the data would give can't be told: {facts['no_law']}."
    twice, unit = facts["twice"], facts["unit"]
    return (
        f"Twice the data ({number(twice['n'])} texts) would give {facts['metric']} "
        f"{quantity(twice['value'], unit)} "
        f"{interval(twice['ci_low'], twice['ci_high'], unit)}, a change of "
        f"{signed(twice['gain'], unit)} "
        f"{interval(twice['gain_low'], twice['gain_high'], unit)}, as far as the law holds "
        "beyond what was seen." + (f" {facts['caution']}." if "caution" in facts else "")
    )


def _law(facts: Fact) -> str:
    if "law" not in facts:
        return ""
    law = facts["law"]
    sign = "+" if law["factor"] >= 0 else "\u2212"
    return (
        f"{facts['metric']} = {law['limit']:.3f} {sign} {abs(law['factor']):.3g} n^"
        f"\u2212{law['exponent']:.3g}, the exponent in [{law['exponent_low']:.3g}, "
        f"{law['exponent_high']:.3g}]; it explains {percent(law['explained'])} of the points' "
        "variance."
    )


def _table(facts: Fact) -> Table:
    unit = facts["unit"]
    spec = [("texts", True), ("share of train", True), (facts["metric"], True), ("draws", False)]
    return make(
        spec,
        [
            (
                Cell(number(p["n"])),
                Cell(percent(p["share"])),
                Cell(quantity(p["value"], unit), interval(p["ci_low"], p["ci_high"], unit)),
                Cell(", ".join(quantity(v, unit) for v in p["draws"])),
            )
            for p in facts["points"]
        ],
    )
