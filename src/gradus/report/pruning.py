"""What pruning took and what it cost: counts beside measurements, and what each layer bears."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from gradus.report.charts.lines import Series, legend, line_chart
from gradus.report.format import NONE, number, percent, plain
from gradus.report.reading import Fact, by_step, columns, is_cost, is_part, key_of
from gradus.report.tables import Cell, Table, make, measured

KIND: Final = "prune"
SHOWN: Final = ("before", "after", "sensitivity", "rounds", "kept_layers")
"""Facts of a step that this section shows."""
STYLES: Final = 3
BASELINE: Final = 4
MILLION: Final = 1e6
COSTS: Final = ("size_mb", "latency_p50_ms", "throughput_texts_s")


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What each layer bears: a title, the chart with its legend, the same numbers in a table."""

    title: str
    chart: tuple[Markup, Markup]
    table: Table


@dataclass(frozen=True, slots=True)
class Shown:
    """A step as the page shows it.

    Attributes:
        step: its id.
        said: what was taken, in a sentence.
        layers: heads and units of each layer before and after.
        rounds: what was gone after each round, with the values on dev.select before training.
        sensitivity: for each of what was pruned.
    """

    step: str
    said: str
    layers: Table
    rounds: Table
    sensitivity: tuple[Sensitivity, ...]


@dataclass(frozen=True, slots=True)
class Pruning:
    """All pruning of a run: one table of every pruned checkpoint under its parent, then each."""

    table: Table
    steps: tuple[Shown, ...]


def pruning(known: Fact) -> Pruning | None:
    """What the steps `prune` did; None for a run without any that got as far as facts."""
    found = [s for s in known["steps"] if s["step"] == KIND and s["facts"].get("after")]
    if not found:
        return None
    return Pruning(_table(known, found), tuple(_shown(step) for step in found))


def _table(known: Fact, found: Sequence[Fact]) -> Table:
    """Sparsity, size, latency and quality of parents and children."""
    counts: dict[str, Mapping[str, Any]] = {}
    for step in found:
        counts.setdefault(str(step["facts"]["parent"]), step["facts"]["before"])
        counts[step["id"]] = step["facts"]["after"]
    taken = [m for step in known["steps"] for m in by_step(step) if m["checkpoint"] in counts]
    main = (known["main"] or {}).get("metric")
    quality = [m for m in taken if not is_cost(m) and not is_part(m) and m["metric"] == main]
    costs = [m for name in COSTS for m in taken if m["metric"] == name]
    heads = columns([*quality, *costs])
    cells = {(m["checkpoint"], key_of(m)): m for m in [*quality, *costs]}
    spec = [("checkpoint", False), ("layers", True), ("heads", True), ("units", True)]
    spec += [("million parameters", True), ("zeros among the layers' weights", True)]
    spec += [("million operations a text", True), *((title, True) for title, _ in heads)]
    rows = [
        [
            Cell(name),
            *_counts(held),
            *(measured(cells.get((name, key))) for _, key in heads),
        ]
        for name, held in counts.items()
    ]
    return make(spec, rows)


def _counts(held: Mapping[str, Any]) -> list[Cell]:
    sizes = held["sizes"]
    return [
        Cell(number(held["layers"])),
        *(Cell(number(sum(s[k] for s in sizes)) if sizes else NONE) for k in ("heads", "units")),
        Cell(number(held["parameters"] / MILLION)),
        Cell(percent(held["sparsity"])),
        Cell(number(held["flops_per_text"] / MILLION)),
    ]


def _shown(step: Fact) -> Shown:
    facts = step["facts"]
    return Shown(
        step=step["id"],
        said=_said(facts),
        layers=_layers(facts),
        rounds=_rounds(facts),
        sensitivity=tuple(_sensitivity(step["id"], one) for one in facts.get("sensitivity") or ()),
    )


def _said(facts: Mapping[str, Any]) -> str:
    before, after = facts["before"], facts["after"]
    pairs = zip(facts["what"], facts["methods"], strict=True)
    what = " and ".join(f"{name} (by {method})" for name, method in pairs)
    less = 1 - after["flops_per_text"] / before["flops_per_text"]
    told = f"{percent(facts['amount'])} of the {what} of {facts['parent']} went"
    if facts["what"] == ["weights"]:
        pattern = "" if facts["pattern"] == "unstructured" else f", pattern {facts['pattern']}"
        return (
            f"{told}{pattern}: zeros in tensors as large as before, which take as many operations."
        )
    return f"{told}: a text takes {percent(less)} fewer operations."


def _layers(facts: Mapping[str, Any]) -> Table:
    """Of each layer that there was at first, what it held and holds."""
    old, new = facts["before"]["sizes"], facts["after"]["sizes"]
    left = dict(zip(facts["kept_layers"], new, strict=False))
    if not old or old == new:
        return make([("layer", True)], [])
    spec = [("layer", True), ("heads", True), ("left", True), ("units", True), ("left", True)]
    rows = []
    for place, size in enumerate(old):
        kept = left.get(place, {"heads": 0, "units": 0})
        cells = [c for k in ("heads", "units") for c in (number(size[k]), number(kept[k]))]
        rows.append([Cell(str(place)), *(Cell(text) for text in cells)])
    return make(spec, rows)


def _rounds(facts: Mapping[str, Any]) -> Table:
    """What was gone after each round, and what that did before anything was trained."""
    values = [key for key in facts["rounds"][0] if key != "amount"] if facts["rounds"] else []
    shown = [key for key in values if "{" not in key and not key.endswith(("_low", "_high"))]
    before, after = facts["before"], facts["after"]
    spec = [("on dev.select", False), ("gone", True)]
    spec += [(key.removeprefix("select_").replace("_", " "), True) for key in shown]
    rows = [[Cell("before"), Cell(percent(0.0)), *(Cell(plain(before.get(k))) for k in shown)]]
    for place, row in enumerate(facts["rounds"], 1):
        cells = [Cell(plain(row.get(key))) for key in shown]
        rows.append([Cell(f"round {place}, not trained yet"), Cell(percent(row["amount"])), *cells])
    if facts["stages"]:
        end = [Cell(plain(after.get(key))) for key in shown]
        rows.append([Cell("at the end"), Cell(percent(facts["amount"])), *end])
    return make(spec, rows if facts["rounds"] else [])


def _sensitivity(step: str, found: Mapping[str, Any]) -> Sensitivity:
    """Lines over layers, one for each amount, and the whole model's loss."""
    what, amounts, losses = found["what"], found["amounts"], found["loss"]
    names = [
        "without the layer" if what == "layers" else f"{percent(amount)} gone" for amount in amounts
    ]
    series = [
        Series(name, place % STYLES + 1, tuple((float(k), float(v)) for k, v in enumerate(row)))
        for place, (name, row) in enumerate(zip(names, losses, strict=True))
    ]
    last = float(len(losses[0]) - 1)
    whole = float(found["baseline"])
    series.append(Series("nothing gone", BASELINE, ((0.0, whole), (last, whole))))
    title = f"Loss when {what} of one layer alone go, on {found['texts']} texts of train"
    chart = line_chart(f"{step}: {title}", series, (), "layer")
    spec = [("layer", True), *((f"nats, {name}", True) for name in names)]
    rows = [
        [Cell(str(k)), *(Cell(number(row[k])) for row in losses)] for k in range(len(losses[0]))
    ]
    return Sensitivity(title, (chart, legend(series)), make(spec, rows))
