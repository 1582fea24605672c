"""The tables of the report, once, for every renderer: cells with text, detail, sign and tone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gradus.report.format import (
    NONE,
    duration,
    interval,
    number,
    p_value,
    plain,
    quantity,
    signed,
)
from gradus.report.reading import (
    Fact,
    all_gates,
    by_step,
    checkpoints,
    columns,
    data_units,
    directions,
    find,
    is_cost,
    is_part,
    is_quality,
    key_of,
    significance,
    units,
)

Tone = Literal["", "good", "bad", "warn", "muted"]

SENTENCE = 28  # characters

STATES: dict[str, tuple[str, Tone]] = {
    "pending": ("○", "muted"),
    "running": ("◔", "warn"),
    "done": ("✓", "good"),
    "reused": ("↻", "good"),
    "waiting": ("…", "warn"),
    "closed": ("✕", "bad"),
    "skipped": ("⤼", "muted"),
    "failed": ("!", "bad"),
    "interrupted": ("‖", "warn"),
}
VERDICTS: dict[str, tuple[str, Tone]] = {
    "open": ("✓", "good"),
    "closed": ("✕", "bad"),
    "undecided": ("?", "warn"),
}
CHANGES: dict[str, tuple[str, str, Tone]] = {
    "better": ("▲", "significant gain", "good"),
    "worse": ("▼", "significant loss", "bad"),
    "different": ("◆", "significant", "warn"),
    "same": ("≈", "not significant", "muted"),
    "untested": ("", "not tested", "muted"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: what it says, a smaller detail under it, a sign before it and a tone."""

    text: str
    small: str = ""
    sign: str = ""
    tone: Tone = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.sign, self.text, self.small) if part)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under titles; `numeric` says which columns hold numbers."""

    titles: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def long(self, column: int) -> bool:
        """Whether a column holds sentences, so that it needs room on a narrow page."""
        return any(len(row[column].text) > SENTENCE for row in self.rows)

    def __bool__(self) -> bool:
        return bool(self.rows)


def make(spec: Sequence[tuple[str, bool]], rows: Sequence[Sequence[Cell]]) -> Table:
    """A table whose columns without any content are left out (the first column stays)."""
    blank = {"", NONE}
    keep = [i for i in range(len(spec)) if i == 0 or any(row[i].text not in blank for row in rows)]
    return Table(
        titles=tuple(spec[i][0] for i in keep),
        numeric=tuple(spec[i][1] for i in keep),
        rows=tuple(tuple(row[i] for i in keep) for row in rows),
    )


def measured(m: Fact | None) -> Cell:
    """A measurement with its interval, or that it is undefined, or a dash for none."""
    if m is None:
        return Cell(NONE, tone="muted")
    if m["value"] is None:
        return Cell("undefined", tone="warn")
    if is_cost(m) and m["ci_low"] == m["ci_high"]:  # a size is what it is
        return Cell(quantity(m["value"], m["unit"]))
    return Cell(quantity(m["value"], m["unit"]), interval(m["ci_low"], m["ci_high"], m["unit"]))


def state(name: str) -> Cell:
    """A step's or run's state, by word, sign and tone."""
    sign, tone = STATES.get(name, ("", ""))
    return Cell(name, sign=sign, tone=tone)


def verdict(name: str) -> Cell:
    """A gate's verdict, by word, sign and tone."""
    sign, tone = VERDICTS.get(name, ("", ""))
    return Cell(name, sign=sign, tone=tone)


def gates_in_short(gates: Sequence[Fact]) -> Cell:
    """How many gates of a step are open, undecided and closed."""
    if not gates:
        return Cell(NONE, tone="muted")
    counts = {v: sum(g["verdict"] == v for g in gates) for v in ("closed", "undecided", "open")}
    worst = next(v for v, n in counts.items() if n)
    sign, tone = VERDICTS[worst]
    said = ", ".join(f"{n} {v}" for v, n in counts.items() if n)
    return Cell(said, sign=sign, tone=tone)


def change(known: Fact, step: Fact, metric: str, checkpoint: str) -> Cell:
    """The change of a metric against the step before, with its sign of significance."""
    for c in step["changes"]:
        if c.get("metric") != metric or c.get("checkpoint", step["id"]) != checkpoint:
            continue
        sign, meaning, tone = CHANGES[significance(c, directions(known["steps"]).get(metric))]
        unit = units(known["steps"]).get(metric, "")
        detail = f"vs {c.get('against', '?')}, {meaning}"
        return Cell(signed(c.get("difference"), unit), detail, sign, tone)
    return Cell(NONE, tone="muted")


def steps(known: Fact) -> Table:
    """Every step: state, main metric with interval, change, gates."""
    main = known["main"]
    metric = main["metric"] if main else "measured"
    spec = [("step", False), ("state", False), (metric, True), ("change", True)]
    spec += [("gates", False), ("time", True)]
    rows = []
    for step in known["steps"]:
        own = by_step(step)
        names = checkpoints(own) or [step["id"]]
        for name in names:
            first = name == names[0]
            found = find(own, metric, name)
            value = measured(found)
            if found is None and step["step"] == "evaluate" and step["measurements"]:
                place = "benchmarks" if step.get("benchmarks") else "final table"
                value = Cell(f"see {place}", tone="muted")
            elif found is None and step.get("written"):
                value = Cell("see writing", tone="muted")
            rows.append(
                (
                    Cell(name, step["step"] if first else ""),
                    state(step["state"]) if first else Cell(""),
                    value,
                    change(known, step, metric, name) if found else Cell(NONE, tone="muted"),
                    gates_in_short(step["gates"]) if first else Cell(""),
                    Cell(_duration(step)) if first else Cell(""),
                )
            )
    return make(spec, rows)


def _duration(step: Fact) -> str:
    return duration(step["seconds"]) if step["seconds"] else NONE


def table(known: Fact) -> list[dict[str, str]]:
    """Rows for a terminal: one mapping from column title to text for each row of `steps`.

    The texts are plain, not markup: hand them to rich as `Text`, since intervals stand in brackets.
    """
    made = steps(known)
    return [dict(zip(made.titles, map(str, row), strict=True)) for row in made.rows]


def qualities(known: Fact) -> Table:
    """Checkpoints x quality metrics, as measured after each step."""
    everything = [m for s in known["steps"] for m in by_step(s) if is_quality(m)]
    return grid(everything)


def grid(measurements: Sequence[Fact]) -> Table:
    """Rows checkpoints, columns metrics (↓ where less is better), cells values with intervals."""
    heads = columns(measurements)
    less = {key_of(m) for m in measurements if m["direction"] == "lower"}
    titles = [f"{title} ↓" if key in less else title for title, key in heads]
    found = {(m["checkpoint"], key_of(m)): m for m in reversed(measurements)}
    rows = [
        [Cell(name), _n(measurements, name)] + [measured(found.get((name, k))) for _, k in heads]
        for name in checkpoints(measurements)
    ]
    return make([("checkpoint", False), ("n", True), *((t, True) for t in titles)], rows)


def _n(measurements: Sequence[Fact], checkpoint: str) -> Cell:
    sizes = {m["n"] for m in measurements if m["checkpoint"] == checkpoint and is_quality(m)}
    return Cell(", ".join(number(n) for n in sorted(sizes)) or NONE)


def final(group: Fact) -> Table:
    """One reading of a split: rows checkpoints, columns quality metrics."""
    return grid([m for m in group["measurements"] if is_quality(m)])


def gates(known: Fact) -> Table:
    """Every gate with its verdict and why."""
    spec = [("step", False), ("gate", False), ("verdict", False), ("why", False)]
    spec += [("difference", True), ("test", False), ("n", True), ("n needed", True)]
    kinds = {**data_units(known), **units(known["steps"])}
    rows = []
    for owner, g in all_gates(known):
        named = [word.rpartition(".")[2] for word in g["gate"].split()]
        unit = next((kinds[word] for word in named if word in kinds), "")
        told = verdict(g["verdict"])
        if not g["claim"]:
            told = Cell(told.text, "no claim", told.sign, told.tone)
        rows.append(
            (
                Cell(owner),
                Cell(g["gate"]),
                told,
                Cell(g["why"]),
                Cell(
                    signed(g["difference"], unit) if g["difference"] is not None else NONE,
                    interval(g["ci_low"], g["ci_high"], unit),
                ),
                Cell(g["test"], p_value(g["p_value"])),
                Cell(number(g["n"]) if g["n"] else NONE),
                Cell(number(g["n_needed"])),
            )
        )
    return make(spec, rows)


def changes(known: Fact) -> Table:
    """Every change against the step before, significant or not."""
    spec = [("step", False), ("metric", False), ("against", False), ("difference", True)]
    spec += [("meaning", False), ("p", True), ("n", True), ("shared items", False)]
    ways, kinds = directions(known["steps"]), units(known["steps"])
    rows = []
    for step in known["steps"]:
        for c in step["changes"]:
            metric = c.get("metric", "")
            unit = kinds.get(metric, "")
            sign, meaning, tone = CHANGES[significance(c, ways.get(metric))]
            rows.append(
                (
                    Cell(c.get("checkpoint", step["id"])),
                    Cell(f"{c['data']}.{metric}" if c.get("data") else metric),
                    Cell(c.get("against", "")),
                    Cell(
                        signed(c.get("difference"), unit),
                        interval(c.get("ci_low"), c.get("ci_high"), unit),
                    ),
                    Cell(meaning, sign=sign, tone=tone),
                    Cell(p_value(c.get("p_value")).removeprefix("p ").removeprefix("= ")),
                    Cell(number(c.get("n"))),
                    Cell(plain(c.get("shared"))),
                )
            )
    return make(spec, rows)


def classes(prediction: Fact) -> Table:
    """Each label: items, right, how often predicted, and what was measured of it."""
    kinds = list(dict.fromkeys(k for c in prediction["classes"] for k in c["measured"]))
    counted = all(c["gold"] is not None for c in prediction["classes"])
    spec = [("label", False)]
    if counted:
        spec += [("items", True), ("right", True), ("wrong", True), ("predicted", True)]
    spec += [(kind, True) for kind in kinds]
    rows = []
    for c in prediction["classes"]:
        counts = (
            [c["gold"], c["correct"], c["gold"] - c["correct"], c["predicted"]] if counted else []
        )
        cells = [Cell(number(count)) for count in counts]
        rows.append([Cell(c["label"]), *cells, *(measured(c["measured"].get(k)) for k in kinds)])
    return make(spec, rows)


def pairs(prediction: Fact) -> Table:
    """The labels most often taken for one another."""
    spec = [("gold", False), ("predicted as", False), ("times", True), ("of", True)]
    rows = [
        (Cell(p["gold"]), Cell(p["predicted"]), Cell(number(p["count"])), Cell(number(p["of"])))
        for p in prediction["pairs"]
    ]
    return make(spec, rows)


def everything(known: Fact) -> Table:
    """Every measurement of the run that isn't for one label or slice, as recorded."""
    spec = [("checkpoint", False), ("metric", False), ("value", True), ("n", True)]
    spec += [("interval by", False), ("data", False), ("benchmark", False), ("contract", False)]
    rows = [
        (
            Cell(m["checkpoint"]),
            Cell(m["metric"]),
            measured(m),
            Cell(number(m["n"])),
            Cell(m["ci_method"] if m["ci_low"] is not None else NONE),
            Cell(".".join(x for x in (m["data"], m["split"]) if x)),
            Cell(m["benchmark"]),
            Cell(", ".join(f"{k} {v}" for k, v in m["contract"].items())),
        )
        for step in known["steps"]
        for m in step["measurements"]
        if not is_part(m)
    ]
    return make(spec, rows)
