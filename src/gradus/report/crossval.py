"""Cross-validation: values by fold, where their spread comes from, tests, labels to look at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from gradus.report.charts.bars import Part, legend, stacked
from gradus.report.charts.forest import DISC, RING, Mark, Plot, Row, plot
from gradus.report.format import (
    NONE,
    count,
    interval,
    number,
    p_value,
    percent,
    quantity,
    signed,
)
from gradus.report.reading import Fact
from gradus.report.tables import CHANGES, Cell, Table, Tone, make

KIND: Final = "crossval"
SHOWN: Final = (
    "metric",
    "unit",
    "direction",
    "level",
    "data",
    "items",
    "folds",
    "repeats",
    "seeds_per_fold",
    "scheme",
    "group",
    "near_duplicates",
    "groups",
    "cells",
    "configurations",
    "components_method",
    "tests",
    "tests_assume",
    "item_tests",
    "item_tests_assume",
    "chosen",
    "winner",
    "refit",
    "predictions",
    "doubts",
)
"""Facts of a step that this section shows."""
PARTS: Final = (
    ("seeds", "seeds", 1),
    ("items", "held-out items", 2),
    ("training", "training sets", 3),
)
MANY: Final = 30
"""Folds beyond which the table of folds is folded away."""


@dataclass(frozen=True, slots=True)
class Doubted:
    """A label that is likely wrong: the text, and what is said of it in a line."""

    text: str
    said: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A step as the page shows it.

    Attributes:
        step: its id.
        about: how it was done, in a sentence.
        values: configurations with their means and intervals.
        plot: the same, drawn; None where nothing has an interval.
        folds: values by fold.
        folded: whether there are so many folds that their table is folded away.
        bars: configuration and its bar of components.
        legend: of the bars.
        components: the same in numbers.
        tests: over folds, the corrected test beside the naive one.
        item_tests: over items.
        assume: what either test assumes.
        chosen: what steps that search chose in each fold.
        doubts_said: how many labels are likely wrong, or why none were looked for.
        doubts_by_label: counts by given label.
        doubted: those that are listed.
    """

    step: str
    about: str
    values: Table
    plot: Plot | None
    folds: Table
    folded: bool
    bars: tuple[tuple[str, Markup], ...]
    legend: Markup
    components: Table
    tests: Table
    item_tests: Table
    assume: tuple[str, str]
    chosen: Table
    doubts_said: str
    doubts_by_label: Table
    doubted: tuple[Doubted, ...]


def crossvals(known: Fact) -> list[Shown]:
    """Every cross-validation of a run that got as far as facts."""
    return [
        _shown(step["id"], step["facts"])
        for step in known["steps"]
        if step["step"] == KIND and step["facts"].get("configurations")
    ]


def _shown(step: str, facts: Mapping[str, Any]) -> Shown:
    bars = [(one["name"], _parts(one, facts["unit"])) for one in facts["configurations"]]
    doubts = facts["doubts"]
    return Shown(
        step=step,
        about=_about(facts),
        values=_values(facts),
        plot=_plot(facts),
        folds=_folds(facts),
        folded=len(facts["cells"]) > MANY,
        bars=tuple((name, stacked(name, parts)) for name, parts in bars),
        legend=legend(bars[0][1]),
        components=_components(facts),
        tests=_tests(facts),
        item_tests=_item_tests(facts),
        assume=(facts["tests_assume"], facts["item_tests_assume"]),
        chosen=_chosen(facts),
        doubts_said=_doubts_said(doubts),
        doubts_by_label=_doubts_by_label(doubts),
        doubted=tuple(_doubted(line) for line in doubts.get("listed", ())),
    )


def _about(facts: Mapping[str, Any]) -> str:
    folds = count(facts["folds"], "fold")
    times = "" if facts["repeats"] == 1 else f", repeated {facts['repeats']} times"
    seeds = facts["seeds_per_fold"]
    each = "" if seeds == 1 else f", {seeds} trainings in each"
    tied = [f"grouped by {facts['group']}"] if facts["group"] else []
    tied += ["near-duplicates together"] if facts["near_duplicates"] else []
    how = {"hash": "by content hash", "stratified": "stratified by label"}[facts["scheme"]]
    return (
        f"{number(facts['items'])} items of {facts['data']}.train in {folds}{times}{each}, "
        f"{', '.join([how, *tied])}. {_refit(facts)}"
    )


def _refit(facts: Mapping[str, Any]) -> str:
    best = facts["winner"]
    return {
        "all": f"The checkpoint is {best}, trained on all of train.",
        "ensemble": f"The checkpoint averages what the folds' checkpoints of {best} say.",
        "none": f"{best} has the best mean; no checkpoint was made.",
    }[str(facts["refit"])]


def _values(facts: Mapping[str, Any]) -> Table:
    unit = facts["unit"]
    spec = [("configuration", False), ("step", False), (facts["metric"], True)]
    spec += [("spread over folds", True), ("training seconds", True)]
    rows = []
    for one in facts["configurations"]:
        best = one["name"] == facts["winner"]
        bounds = interval(one["low"], one["high"], unit)
        sign, tone = ("✓", "good") if best and len(facts["configurations"]) > 1 else ("", "")
        rows.append(
            [
                Cell(one["name"], sign=sign, tone=_tone(tone)),
                Cell(one["step"]),
                Cell(quantity(one["value"], unit), bounds),
                Cell(number(_deviation(one["values"]), unit)),
                Cell(number(round(one["seconds"], 1))),
            ]
        )
    return make(spec, rows)


def _tone(tone: str) -> Tone:
    return "good" if tone == "good" else ""


def _deviation(values: Sequence[Sequence[float | None]]) -> float | None:
    """Standard deviation of the folds' means: what a reader sees in the table of folds."""
    means = [sum(row) / len(row) for row in values if None not in row]  # type: ignore[arg-type]  # none is None
    if len(means) < 2:
        return None
    middle = sum(means) / len(means)
    return math.sqrt(sum((mean - middle) ** 2 for mean in means) / (len(means) - 1))


def _plot(facts: Mapping[str, Any]) -> Plot | None:
    unit, rows = facts["unit"], []
    for one in facts["configurations"]:
        if None in (one["value"], one["low"], one["high"]):
            continue
        told = f"{quantity(one['value'], unit)} {interval(one['low'], one['high'], unit)}"
        style = DISC if one["name"] == facts["winner"] else RING
        mark = Mark(one["value"], one["low"], one["high"], style, told)
        rows.append(Row(one["name"], (mark,)))
    return plot(f"{facts['metric']}, mean over folds", rows) if rows else None


def _folds(facts: Mapping[str, Any]) -> Table:
    unit, several = facts["unit"], facts["repeats"] > 1
    spec = [("fold", False), ("trained on", True), ("looked at", True), ("held out", True)]
    names = [one["name"] for one in facts["configurations"]]
    spec += [(name, True) for name in names]
    rows = []
    for place, cell in enumerate(facts["cells"]):
        name = f"{cell['repeat']}.{cell['fold']}" if several else str(cell["fold"])
        values = [
            Cell(" ".join(number(v, unit) for v in one["values"][place]))
            for one in facts["configurations"]
        ]
        sizes = [Cell(number(cell[key])) for key in ("train", "select", "held")]
        rows.append([Cell(name), *sizes, *values])
    return make(spec, rows)


def _parts(one: Mapping[str, Any], unit: str) -> list[Part]:
    found = []
    for key, name, style in PARTS:
        amount = one["components"].get(key)
        told = f"{name} {NONE if amount is None else number(math.sqrt(amount), unit)}"
        found.append(Part(name, amount or 0.0, style, told))
    return found


def _components(facts: Mapping[str, Any]) -> Table:
    """Standard deviations, which have the metric's unit, and shares of the variance."""
    spec = [("configuration", False), *((f"by {name}", True) for _, name, _ in PARTS)]
    rows = []
    for one in facts["configurations"]:
        amounts = [one["components"].get(key) for key, _, _ in PARTS]
        total = sum(amount or 0.0 for amount in amounts)
        cells = [
            Cell(NONE)
            if amount is None
            else Cell(
                number(math.sqrt(amount), facts["unit"]), percent(amount / total) if total else ""
            )
            for amount in amounts
        ]
        rows.append([Cell(one["name"]), *cells])
    return make(spec, rows)


def _tests(facts: Mapping[str, Any]) -> Table:
    spec = [("first − second", False), ("difference", True), ("corrected p", True)]
    spec += [("after Holm", True), ("verdict", False), ("naive interval", True), ("naive p", True)]
    rows = []
    for test in facts["tests"]:
        naive = test["naive"]
        rows.append(
            [
                *_head(test, facts),
                _verdict(test, facts),
                Cell(interval(naive["low"], naive["high"], facts["unit"]) or NONE),
                Cell(p_value(naive["p_value"])),
            ]
        )
    return make(spec, rows)


def _item_tests(facts: Mapping[str, Any]) -> Table:
    spec = [("first − second", False), ("difference", True), ("p", True), ("after Holm", True)]
    spec += [("verdict", False), ("test", False), ("items", True)]
    rows = [
        [*_head(test, facts), _verdict(test, facts), Cell(test["test"]), Cell(number(test["n"]))]
        for test in facts["item_tests"]
    ]
    return make(spec, rows)


def _chosen(facts: Mapping[str, Any]) -> Table:
    spec = [("configuration", False), ("repeat", True), ("fold", True), ("seed", True)]
    rows = [
        [
            Cell(row["configuration"]),
            *(Cell(number(row[key])) for key in ("repeat", "fold", "seed")),
            Cell(row["chosen"]),
        ]
        for row in facts.get("chosen", ())
    ]
    return make([*spec, ("chosen", False)], rows)


def _head(test: Mapping[str, Any], facts: Mapping[str, Any]) -> list[Cell]:
    unit = facts["unit"]
    return [
        Cell(f"{test['first']} − {test['second']}"),
        Cell(signed(test["difference"], unit), interval(test["low"], test["high"], unit)),
        Cell(p_value(test["p_value"])),
        Cell(p_value(test["p_holm"])),
    ]


def _verdict(test: Mapping[str, Any], facts: Mapping[str, Any]) -> Cell:
    """Whether the first is better than the second, as far as the test says."""
    if test["significant"] is None:
        name = "untested"
    elif not test["significant"]:
        name = "same"
    else:
        name = "better" if (test["difference"] > 0) == (facts["direction"] == "higher") else "worse"
    sign, told, tone = CHANGES[name]
    return Cell(told, sign=sign, tone=tone)


def _doubts_said(doubts: Mapping[str, Any]) -> str:
    if "why_not" in doubts:
        return f"No labels were doubted: {doubts['why_not']}."
    found, items = doubts["found"], doubts["items"]
    return (
        f"{count(found, 'label')} of {number(items)} are in doubt by what the models of "
        f"{doubts['configuration']} say that haven't seen them; about "
        f"{number(round(doubts['expected']))} may be wrong. A person should read them: what is "
        f"rare looks wrong too. All stand in {doubts['file']}, the likeliest first."
    )


def _doubts_by_label(doubts: Mapping[str, Any]) -> Table:
    spec = [("given label", False), ("items", True), ("doubted", True), ("may be wrong", True)]
    spec += [("threshold", True)]
    rows = [
        [
            Cell(one["label"]),
            Cell(number(one["items"])),
            Cell(number(one["doubted"])),
            Cell(number(round(one["expected"], 1))),
            Cell(number(one["threshold"], "proportion")),
        ]
        for one in doubts.get("labels", ())
    ]
    return make(spec, rows)


def _doubted(line: Mapping[str, Any]) -> Doubted:
    said = (
        f"{line['label']} ({number(line['probability'], 'proportion')}), more likely "
        f"{line['suggested']} ({number(line['probability_suggested'], 'proportion')})"
    )
    return Doubted(line["text"], said)
