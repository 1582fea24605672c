"""Searches: how they went, which settings mattered, what each setting gave, who won."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from gradus.report.charts.trials import (
    Axis,
    Dot,
    dots_chart,
    finite,
    parallel_chart,
    shares_chart,
)
from gradus.report.format import NONE, count, number
from gradus.report.reading import Fact
from gradus.report.tables import Cell, Table, Tone, make

KIND: Final = "tune"
SHOWN: Final = ("tuning", "winner", "inner", "digest")
"""Facts of a step that this section shows."""
DONE, RESTS, BEST = 1, 2, 3
STATES: Final[Mapping[str, tuple[str, Tone]]] = {
    "done": ("✓", "good"),
    "resting": ("‖", "muted"),
    "failed": ("!", "bad"),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A search as the page shows it.

    Attributes:
        step: its id.
        said: what was searched, how it ended and who won, in sentences.
        charts: titles and charts: history, importance, front, range test.
        slices: of each space, the score against its values.
        parallel: all spaces beside one another; None with a single one.
        trials: every trial.
    """

    step: str
    said: tuple[str, ...]
    charts: tuple[tuple[str, Markup], ...]
    slices: tuple[tuple[str, Markup], ...]
    parallel: Markup | None
    trials: Table


def searches(known: Fact) -> list[Shown]:
    """What the steps `tune` of a run found."""
    found = [(step["id"], step["facts"].get("tuning")) for step in known["steps"]]
    return [_shown(name, facts) for name, facts in found if facts]


def _shown(step: str, facts: Fact) -> Shown:
    metric = facts["objectives"][0]["metric"]
    charts = [(f"{metric} of each trial", _history(step, facts))]
    for one, shares in zip(facts["objectives"], facts["importance"], strict=True):
        if shares:
            title = f"What {one['metric']} depended on"
            charts.append((title, shares_chart(f"{step}: {title}", list(shares.items()))))
    charts += _fronts(step, facts) + _range(step, facts)
    scored = [row for row in facts["trials"] if score(row) is not None]
    return Shown(
        step=step,
        said=tuple(_said(facts)),
        charts=tuple(charts),
        slices=tuple(_slice(step, space, scored, facts) for space in facts["spaces"]),
        parallel=_parallel(step, scored, facts) if len(facts["spaces"]) > 1 and scored else None,
        trials=_table(facts),
    )


def score(row: Fact) -> float | None:
    """The first objective of a trial: at its end, or where it rests; None for one that failed."""
    if row["values"]:
        return row["values"][0] if finite(row["values"][0]) else None
    rungs = row["rungs"] if row["state"] == "resting" else []
    return rungs[-1][1] if rungs else None


def _said(facts: Fact) -> list[str]:
    rows, best = facts["trials"], facts["trials"][facts["best"]]
    done = sum(row["state"] == "done" for row in rows)
    resting = sum(row["state"] == "resting" for row in rows)
    failed = len(rows) - done - resting
    how = facts["sampler"] + (f" with {facts['pruner']}" if facts["pruner"] else "")
    sentence = f"{count(len(rows), 'trial')} of {facts['of'].partition('.')[0]} by {how}: "
    parts = [f"{done} went through all stages"]
    parts += [f"{resting} rest where others were better"] if resting else []
    parts += [f"{failed} failed"] if failed else []
    values = ", ".join(
        f"{one['metric']} {number(value)}"
        for one, value in zip(facts["objectives"], best["values"], strict=True)
    )
    return [
        f"{sentence}{', '.join(parts)}. The search ended with {facts['ended']}.",
        f"{best['name']} won with {values} on dev.select. That is the best of many draws and so "
        "optimistic; what the checkpoint is worth stands under the step's measurements.",
        "A disc is the best, a ring a trial that went through all stages, a full mark one that "
        "rests and is drawn by its score there.",
    ]


def _style(row: Fact, facts: Fact) -> int:
    if row["number"] == facts["best"]:
        return BEST
    return DONE if row["state"] == "done" else RESTS


def _told(row: Fact, facts: Fact) -> str:
    value, state = score(row), row["state"]
    where = f" after stage {row['rungs'][-1][0]}" if state == "resting" else ""
    metric = facts["objectives"][0]["metric"]
    settings = ", ".join(f"{name} {_value(value)}" for name, value in row["params"].items())
    return f"{row['name']}: {metric} {number(value)}{where}; {settings}"


def _value(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{value:.4g}"


def _history(step: str, facts: Fact) -> Markup:
    """Scores in the order of proposal, with the best so far of those that are done."""
    dots, best = [], list[tuple[float, float]]()
    higher = facts["objectives"][0]["direction"] == "higher"
    for row in facts["trials"]:
        value = score(row)
        if value is None:
            continue
        dots.append(Dot(row["number"], value, _told(row, facts), _style(row, facts)))
        if row["state"] == "done":
            so_far = best[-1][1] if best else value
            best.append((row["number"], max(so_far, value) if higher else min(so_far, value)))
    if not dots:
        dots = [Dot(0, 0, "no trial has a score")]
    return dots_chart(f"{step}: scores of trials", dots, Axis("trial"), best)


def _fronts(step: str, facts: Fact) -> list[tuple[str, Markup]]:
    """The first objective against each other one; who is on the front is a disc."""
    first, *others = facts["objectives"]
    found = []
    for i, other in enumerate(others, start=1):
        dots = [
            Dot(
                row["values"][i],
                row["values"][0],
                f"{row['name']}: {first['metric']} {number(row['values'][0])}, {other['metric']} "
                f"{number(row['values'][i])}",
                BEST if row["number"] in facts["front"] else DONE,
            )
            for row in facts["trials"]
            if row["values"] and finite(row["values"][0]) and finite(row["values"][i])
        ]
        if dots:
            title = f"{first['metric']} against {other['metric']}; discs are on the front"
            found.append((title, dots_chart(f"{step}: {title}", dots, Axis(other["metric"]))))
    return found


def _range(step: str, facts: Fact) -> list[tuple[str, Markup]]:
    test = facts["range_test"]
    if not test or not test["rates"]:
        return []
    dots = [
        Dot(rate, loss, f"rate {rate:.3g}: loss {loss:.4g}", RESTS)
        for rate, loss in zip(test["rates"], test["losses"], strict=True)
    ]
    title = "Range test: loss against learning rate"
    if test["low"] is not None:
        title += f"; it falls from {test['low']:.2g} to {test['high']:.2g}"
    return [(title, dots_chart(f"{step}: {title}", dots, Axis("learning rate", log=True)))]


def _axis(space: Fact) -> Axis:
    if space["kind"] == "choice":
        return Axis(space["name"], places=tuple(_value(choice) for choice in space["choices"]))
    return Axis(space["name"], log=bool(space["log"]))


def _place(space: Fact, value: Any) -> float:
    """A trial's value on the axis of its space."""
    if space["kind"] == "choice":
        return float(space["choices"].index(value))
    return float(value)


def _slice(step: str, space: Fact, scored: Sequence[Fact], facts: Fact) -> tuple[str, Markup]:
    metric = facts["objectives"][0]["metric"]
    dots = [
        Dot(
            _place(space, row["params"][space["name"]]),
            float(score(row) or 0.0),
            _told(row, facts),
            _style(row, facts),
        )
        for row in scored
    ]
    title = f"{metric} against {space['name']}"
    return title, dots_chart(f"{step}: {title}", dots or [Dot(1, 0, "nothing")], _axis(space))


def _parallel(step: str, scored: Sequence[Fact], facts: Fact) -> Markup:
    metric = facts["objectives"][0]["metric"]
    axes = [*(_axis(space) for space in facts["spaces"]), Axis(metric)]
    rows = [
        (
            [
                *(_place(space, row["params"][space["name"]]) for space in facts["spaces"]),
                float(score(row) or 0.0),
            ],
            _told(row, facts),
            _style(row, facts),
        )
        for row in scored
    ]
    return parallel_chart(f"{step}: settings and {metric} of every trial", axes, rows)


def _table(facts: Fact) -> Table:
    names = [space["name"] for space in facts["spaces"]]
    numeric = [space["kind"] != "choice" for space in facts["spaces"]]
    objectives = [one["metric"] for one in facts["objectives"]]
    spec = [("trial", False), ("state", False), *zip(names, numeric, strict=True)]
    spec += [(name, True) for name in objectives] + [("at rungs", False), ("tokens", True)]
    rows = []
    for row in facts["trials"]:
        sign, tone = STATES[row["state"]]
        won = row["number"] == facts["best"]
        values = row["values"] or [None] * len(objectives)
        rungs = ", ".join(f"{stage}: {number(value)}" for stage, value in row["rungs"])
        rows.append(
            [
                Cell(row["name"], "won" if won else "", "★" if won else "", "good" if won else ""),
                Cell(row["state"], row["error"] or "", sign, tone),
                *(Cell(_value(row["params"][name])) for name in names),
                *(Cell(number(value)) for value in values),
                Cell(rungs or NONE),
                Cell(number(row["tokens"])),
            ]
        )
    return make(spec, rows)
