"""Quality against size and latency: what compression left to choose from.

The facts come from ``frontier.json``, which ``gradus compress`` keeps, or from what a plan with
steps that make a checkpoint smaller measured last, side by side.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from gradus.errors import DataError
from gradus.report.charts.scaling import Point, scaling_chart
from gradus.report.format import NONE, interval, quantity
from gradus.report.reading import Fact, checkpoints
from gradus.report.tables import Cell, Table, make, verdict

FILE: Final = "frontier.json"
COMPRESSING: Final = ("quantize", "prune", "distil")
COSTS: Final = {
    "size_mb": ("size", "MB", "lower"),
    "latency_p50_ms": ("latency", "ms", "lower"),
    "throughput_texts_s": ("throughput", "texts/s", "higher"),
}
"""Cost metric -> what it is called, its unit, which way is better."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A frontier as the page shows it: sentence, charts with their titles, table."""

    title: str
    said: str
    charts: tuple[tuple[str, Markup], ...]
    table: Table
    refused: tuple[tuple[str, str], ...]


def frontiers(run_folder: Path, known: Fact) -> list[Fact]:
    """The facts; none where nothing was compressed.

    Raises:
        DataError: ``frontier.json`` is broken.
    """
    path = run_folder / FILE
    if path.exists():
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            return [{**raw, "split": "dev.select", "on": f"{raw['data']}.dev.select"}]
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"not readable as a frontier ({error})", file=path) from error
    if known["main"] is None or not any(s["step"] in COMPRESSING for s in known["steps"]):
        return []
    return [found for group in known["final"] if (found := _of_group(group, known)) is not None]


def _of_group(group: Fact, known: Fact) -> Fact | None:
    """What one evaluation measured side by side, where that is quality and cost of several."""
    main = known["main"]
    hows = {step["id"]: step["step"] for step in known["steps"]}
    points = []
    for name in checkpoints(group["measurements"]):
        own = {m["metric"]: m for m in group["measurements"] if m["checkpoint"] == name}
        costs = {c: [own[c][k] for k in ("value", "ci_low", "ci_high")] for c in COSTS if c in own}
        quality = own.get(main["metric"])
        if quality is None or quality["value"] is None or not costs:
            continue
        ends = {key: quality[key] for key in ("value", "ci_low", "ci_high")}
        how = hows.get(name.partition(".")[0], "model")
        points.append({"name": name, "how": how, "costs": costs, **ends, "verdict": None})
    if len(points) < 2:
        return None
    about = {key: main[key] for key in ("metric", "unit", "direction")}
    on = f"{group['data']}.{group['split']}"
    return {**about, "on": on, "points": points, "recommended": None, "refused": {}}


def undominated(points: Sequence[Fact], cost: str, direction: str) -> set[str]:
    """Names of those that no other is both better and cheaper than."""
    found = set()
    held = [p for p in points if p["value"] is not None and _cost(p, cost) is not None]
    for mine in held:
        at = _place(mine, cost, direction)
        others = (_place(p, cost, direction) for p in held)
        if not any(o != at and o[0] <= at[0] and o[1] <= at[1] for o in others):
            found.add(mine["name"])
    return found


def _place(point: Fact, cost: str, direction: str) -> tuple[float, float]:
    """Cost and quality, both turned so that less is better."""
    paid = float(_cost(point, cost) or 0.0) * (1 if COSTS[cost][2] == "lower" else -1)
    return paid, float(point["value"]) * (1 if direction == "lower" else -1)


def _cost(point: Fact, cost: str) -> float | None:
    value: float | None = point["costs"].get(cost, (None,))[0]
    return value


def shown(known: Fact) -> list[Shown]:
    """Every frontier with its charts."""
    return [_shown(found) for found in known["frontiers"]]


def _shown(found: Fact) -> Shown:
    title = f"{found['metric']} on {found['on']} against cost"
    return Shown(
        title=title,
        said=_said(found),
        charts=tuple(
            (f"{found['metric']} against {name}, {unit}", chart)
            for cost, (name, unit, _) in COSTS.items()
            if (chart := _chart(found, cost)) is not None
        ),
        table=_table(found),
        refused=tuple((str(k), str(v)) for k, v in found["refused"].items()),
    )


def _said(found: Fact) -> str:
    """What is recommended and by which test, in words."""
    drawn = "Discs are checkpoints that no other beats in both; diamonds are beaten."
    if "budget" not in found:
        return drawn
    where = f"{found['data']}.{found['claim']}"
    if found["recommended"] is None:
        return (
            f"Nothing is recommended: no checkpoint that is smaller by {found['target']} is shown "
            f"on {where} to keep '{found['budget']}'. {drawn}"
        )
    return (
        f"Recommended: {found['recommended']}, the last in order of {found['target']} that a test "
        f"on {where} admits under '{found['budget']}'. What was tested was chosen on dev.select. "
        f"{drawn}"
    )


def _chart(found: Fact, cost: str) -> Markup | None:
    name, unit, _ = COSTS[cost]
    front = undominated(found["points"], cost, found["direction"])
    points = []
    for p in found["points"]:
        x, value = _cost(p, cost), p["value"]
        if x is None or value is None:
            continue
        low, high = (value if p[end] is None else p[end] for end in ("ci_low", "ci_high"))
        _, *ends = p["costs"][cost]
        told = f"{p['name']}: {quantity(value, found['unit'])} "
        told += f"{interval(p['ci_low'], p['ci_high'], found['unit'])} at {quantity(x, unit)} "
        told += interval(ends[0], ends[1], unit)
        points.append(Point(x, value, low, high, told.rstrip(), measured=p["name"] in front))
    if len(points) < 2:
        return None
    return scaling_chart(f"{found['metric']} against {name}", points, (), f"{name}, {unit}")


def _table(found: Fact) -> Table:
    spec = [("checkpoint", False), ("made by", False), (found["metric"], True)]
    spec += [(name, True) for name, _, _ in COSTS.values()] + [("claim", False)]
    rows = []
    for p in found["points"]:
        bounds = interval(p["ci_low"], p["ci_high"], found["unit"])
        sign = "★" if p["name"] == found["recommended"] else ""
        rows.append(
            [
                Cell(p["name"], "recommended" if sign else "", sign, "good" if sign else ""),
                Cell(p["how"]),
                Cell(quantity(p["value"], found["unit"]), bounds),
                *(_paid(p, cost) for cost in COSTS),
                _claim(p["verdict"]),
            ]
        )
    return make(spec, rows)


def _paid(point: Fact, cost: str) -> Cell:
    if _cost(point, cost) is None:
        return Cell(NONE, tone="muted")
    value, low, high = point["costs"][cost]
    unit = COSTS[cost][1]
    return Cell(quantity(value, unit), "" if low == high else interval(low, high, unit))


def _claim(held: dict[str, Any] | None) -> Cell:
    if held is None:
        return Cell(NONE, tone="muted")
    cell = verdict(str(held["verdict"]))
    return Cell(cell.text, str(held["why"]), cell.sign, cell.tone)
