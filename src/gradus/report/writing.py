"""What writers wrote: every measure of each beside people's, and their texts side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gradus.report.charts.forest import DIAMOND, RING, Mark, Plot, Row, plot
from gradus.report.format import NONE, interval, number, quantity
from gradus.report.raters import Rated, rated
from gradus.report.reading import Fact, on_writings, significance
from gradus.report.tables import CHANGES, Cell, Table, make, measured

HUMAN: Final = "human"
METHODS: Final = {"spearman": "Spearman\u2019s \u03c1", "kendall": "Kendall\u2019s \u03c4"}


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a writer; `cut` says that it ends where the length did."""

    writer: str
    text: str
    cut: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What is shown of the samples of one step.

    Attributes:
        step: the step that made them.
        about: how they were made, a sentence.
        people: whether people are among the writers.
        table: a row for each measure, a column for each writer.
        plots: a chart for each measure.
        agreement: how machine measures and judges go with what people say, over writings; beside
            it over writers.
        rated: what raters and judges said of them.
        texts: prompts with a text of each writer.
    """

    step: str
    about: str
    people: bool
    table: Table
    plots: tuple[Plot, ...]
    agreement: tuple[tuple[str, Table], ...]
    rated: tuple[Rated, ...]
    texts: tuple[tuple[str, tuple[Text, ...]], ...]


def writings(known: Fact) -> list[Written]:
    """One for each step that made samples, with what later steps say of them."""
    found = []
    for step in known["steps"]:
        own = step.get("written")
        if not own or own["samples"] != step["id"]:
            continue
        later = [s for s in known["steps"] if s["written"].get("samples") == step["id"]]
        taken = [m for s in later for m in s["measurements"] if on_writings(m)]
        against = [row for s in later for row in s["written"]["against"]]
        agreement = [row for s in later for row in s["written"].get("agreement", ())]
        writers = list(own["writers"])
        found.append(
            Written(
                step=step["id"],
                about=_about(step["facts"]),
                people=HUMAN in writers,
                table=measures(taken, against, writers),
                plots=tuple(plots(taken, writers)),
                agreement=tuple(
                    (title, correlations(agreement, over))
                    for over, title in (("writings", "Over texts"), ("writers", "Over writers"))
                    if any(row["over"] == over and row["value"] is not None for row in agreement)
                ),
                rated=tuple(one for one in map(rated, later) if one is not None),
                texts=tuple(_texts(row) for row in own["shown"]),
            )
        )
    return found


def _about(facts: Fact) -> str:
    prompts = facts.get("prompts", {})
    place = prompts.get("corpus")
    where = f" from {place}.{prompts['split']}" if place else ""
    each = facts.get("each", 1)
    said = f"{number(prompts.get('number'))} prompts{where}, {number(each)} text"
    said += f"{'s' if each > 1 else ''} of each writer to each: {facts.get('decoding')}."
    longest = facts.get("characters")
    return f"{said} All texts are cut at {number(longest)} characters." if longest else said


def measures(taken: Sequence[Fact], against: Sequence[Fact], writers: Sequence[str]) -> Table:
    """Rows measures, columns writers; a sign says how a value compares with people's."""
    found = {(m["metric"], m["checkpoint"]): m for m in taken}
    to_people = {(row["metric"], row["checkpoint"]): row for row in against}
    spec = [("measure", False), ("unit", False), *((writer, True) for writer in writers)]
    rows = []
    for metric in dict.fromkeys(m["metric"] for m in taken):
        first = next(m for m in taken if m["metric"] == metric)
        cells = [
            _beside(found.get((metric, writer)), to_people.get((metric, writer)))
            for writer in writers
        ]
        title = f"{metric} \u2193" if first["direction"] == "lower" else metric
        rows.append([Cell(title), Cell(first["unit"]), *cells])
    return make(spec, rows)


def _beside(m: Fact | None, change: Fact | None) -> Cell:
    told = measured(m)
    if m is None or change is None:
        return told
    sign, _, tone = CHANGES[significance(change, m["direction"])]
    return Cell(told.text, told.small, sign, tone)


def plots(taken: Sequence[Fact], writers: Sequence[str]) -> list[Plot]:
    """For each measure a row for each writer, people's value (diamond) among them."""
    made = []
    for metric in dict.fromkeys(m["metric"] for m in taken):
        found = {m["checkpoint"]: m for m in taken if m["metric"] == metric}
        rows = [
            Row(label=writer, marks=(_mark(found[writer]),))
            for writer in writers
            if writer in found and found[writer]["value"] is not None
        ]
        if len(rows) > 1:
            less = next(iter(found.values()))["direction"] == "lower"
            made.append(plot(f"{metric} \u2193" if less else metric, rows))
    return made


def _mark(m: Fact) -> Mark:
    value = m["value"]
    bounds = interval(m["ci_low"], m["ci_high"], m["unit"])
    return Mark(
        value=value,
        low=value if m["ci_low"] is None else m["ci_low"],
        high=value if m["ci_high"] is None else m["ci_high"],
        style=DIAMOND if m["checkpoint"] == HUMAN else RING,
        told=f"{quantity(value, m['unit'])} {bounds}".rstrip(),
    )


def correlations(rows: Sequence[Fact], over: str) -> Table:
    """Rows measures, columns what people said; each cell one correlation with its interval.

    Measures that have none, as of too few texts, aren't among the rows.
    """
    defined = {row["measure"] for row in rows if row["over"] == over and row["value"] is not None}
    kept = [row for row in rows if row["over"] == over and row["measure"] in defined]
    found = {(row["measure"], row["score"], row["method"]): row for row in kept}
    heads = list(dict.fromkeys((row["score"], row["method"]) for row in kept))
    spec = [("measure", False), ("n", True)]
    spec += [(f"{score}, {METHODS.get(method, method)}", True) for score, method in heads]
    made = []
    for measure in dict.fromkeys(row["measure"] for row in kept):
        first = next(row for row in kept if row["measure"] == measure)
        less = first.get("direction") == "lower"
        title = f"{measure} \u2193" if less else measure
        cells = [_correlation(found.get((measure, *head))) for head in heads]
        made.append([Cell(title), Cell(number(first["n"])), *cells])
    return make(spec, made)


def _correlation(row: Fact | None) -> Cell:
    if row is None or row["value"] is None:
        return Cell(NONE, tone="muted")
    unit = "correlation"
    return Cell(number(row["value"], unit), interval(row["ci_low"], row["ci_high"], unit))


def _texts(row: dict[str, Any]) -> tuple[str, tuple[Text, ...]]:
    made = (Text(w, one["text"], not one["ended"]) for w, one in row["texts"].items())
    return str(row["prompt"]), tuple(made)
