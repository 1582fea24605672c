"""What the charts of the page draw: marks and lines picked from the facts."""

from __future__ import annotations

from typing import Any

from gradus.report.charts.forest import DIAMOND, DISC, RING, Mark, Plot, Row, plot
from gradus.report.charts.lines import Band, Series
from gradus.report.format import interval, number, quantity, signed
from gradus.report.reading import Fact, by_step, checkpoints, units


def forest_rows(known: Fact) -> list[Row]:
    """The main metric of each checkpoint after its step (ring) and on test (diamond)."""
    main = known["main"]
    if main is None:
        return []
    after = [m for s in known["steps"] for m in by_step(s)]
    late = [m for g in known["final"] for m in g["measurements"]]
    taken = [m for m in after + late if m["metric"] == main["metric"] and m["value"] is not None]
    rows = []
    for name in checkpoints(taken):
        own: dict[tuple[str, str], Fact] = {}
        for m in taken:
            if m["checkpoint"] == name:
                own.setdefault((m["data"], m["split"]), m)
        rows.append(Row(label=name, marks=tuple(_mark(m, len(own)) for m in own.values())))
    return rows


def _mark(m: Fact, beside: int) -> Mark:
    bounds = interval(m["ci_low"], m["ci_high"], m["unit"])
    place = m["split"] or m["data"]
    told = f"{place} {quantity(m['value'], m['unit'])} {bounds}".rstrip()
    return Mark(
        value=m["value"],
        low=m["value"] if m["ci_low"] is None else m["ci_low"],
        high=m["value"] if m["ci_high"] is None else m["ci_high"],
        style=DIAMOND if m["split"] == "test" else RING,
        told=told,
    )


def change_plots(known: Fact) -> list[Plot]:
    """Differences to the step before with their intervals, a plot a metric, the main one first."""
    kinds = units(known["steps"])
    found: dict[str, list[Row]] = {}
    for step in known["steps"]:
        for c in step["changes"]:
            if c.get("difference") is None:
                continue
            metric = c.get("metric", "")
            label = f"{c.get('checkpoint', step['id'])} \u2212 {c.get('against', '?')}"
            mark = difference_mark(c, kinds.get(metric, ""))
            # A change on a benchmark says so; one without data is on the step's own dev.gate.
            where = f"{c['data']}.{metric}" if c.get("data") else metric
            found.setdefault(where, []).append(Row(label=label, marks=(mark,)))
    main = (known["main"] or {}).get("metric")
    ordered = sorted(found, key=lambda name: name != main)
    return [plot(name, found[name], rule=0.0) for name in ordered]


def difference_mark(c: Fact, unit: str) -> Mark:
    """A difference (``difference``, ``ci_low``, ``ci_high``, ``significant``) as a mark."""
    value, low, high = c["difference"], c.get("ci_low"), c.get("ci_high")
    told = f"{signed(value, unit)} {interval(low, high, unit)}".rstrip()
    return Mark(
        value=value,
        low=value if low is None else low,
        high=value if high is None else high,
        style=DISC if c.get("significant") else RING,
        told=f"{told}, significant" if c.get("significant") else told,
    )


def curve_charts(curves: dict[str, Any]) -> list[tuple[str, list[Series]]]:
    """Titled groups of lines: scores on dev.select, losses, learning rate; only what was kept."""
    rows = curves["rows"]
    names = list(dict.fromkeys(key for row in rows for key in row))
    scores = [n for n in names if n.startswith("select_") and not n.endswith("loss")]
    losses = [n for n in names if n.endswith("loss")]
    if "select_loss" in losses:  # the same number under the metric's name
        losses = [n for n in losses if n != "select_log_loss"]
    groups = [("On dev.select", scores), ("Loss", losses), ("Learning rate", ["lr"])]
    charts = []
    for title, keys in groups:
        made = [_series(rows, key, i) for i, key in enumerate(keys, start=1)]
        drawn = [s for s in made if s.points]
        if drawn:
            charts.append((title, drawn))
    return charts


def _series(rows: list[dict[str, Any]], key: str, style: int) -> Series:
    """One column of the curves; a learning rate is drawn stage by stage, since it jumps between."""
    kept = [row for row in rows if isinstance(row.get(key), int | float)]
    stages = [row.get("stage", 0) for row in kept]
    jumps = tuple(i for i in range(1, len(stages)) if stages[i] != stages[i - 1])
    return Series(
        name={"lr": "learning rate"}.get(key, key.replace("_", " ")),
        style=(style - 1) % 4 + 1,
        points=tuple((float(row["x"]), float(row[key])) for row in kept),
        breaks=jumps if key == "lr" else (),
    )


def bands(curves: dict[str, Any]) -> list[Band]:
    """The stages that a step's curves run through."""
    return [
        Band(label=s["train"], start=float(s["start"]), end=float(s["end"]))
        for s in curves["stages"]
    ]


def stage_names(curves: dict[str, Any]) -> str:
    """The stages in words, for the text under the charts."""
    told = []
    for i, stage in enumerate(curves["stages"], start=1):
        length = stage["end"] - stage["start"]
        unit = curves["axis"] if length == 1 else f"{curves['axis']}s"
        told.append(f"{i} {stage['train']} ({number(length)} {unit})")
    return ", ".join(told)


def heat(prediction: Fact) -> list[tuple[str, list[tuple[str, str]]]]:
    """The confusion matrix as (label, [(count, class)]): a class for how strong a cell is.

    The class follows the share of the row's items, ``d1`` to ``d5`` on the diagonal and
    ``e1`` to ``e5`` off it; it only colours the count that stands in the cell.
    """
    labels = prediction["labels"]
    counts = {(g, p): c for g, p, c in prediction["counts"]}
    totals = {k: c["gold"] for k, c in enumerate(prediction["classes"])}
    rows = []
    for g, label in enumerate(labels):
        cells = []
        for p in range(len(labels)):
            c = counts.get((g, p), 0)
            level = -(-5 * c // totals[g]) if c else 0
            kind = "d" if g == p else "e"
            cells.append((number(c) if c else "", f"{kind}{level}" if c else ""))
        rows.append((label, cells))
    return rows
