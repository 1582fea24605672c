"""A metric against model size, shots or training tokens: the facts of the scaling view."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from gradus.errors import ContractError
from gradus.gates.sides import align
from gradus.measure.compare import Contender, Settings
from gradus.metrics.base import Items, Metric
from gradus.metrics.repeated import kept, one_of
from gradus.stats import scaling
from gradus.stats.intervals import interval

CURVE: Final = 60
"""Points of the fitted curve."""


def scaled(
    on: str,
    axis: str,
    contenders: Sequence[Contender],
    settings: Settings,
    *,
    name: str,
    at: Sequence[float] = (),
) -> dict[str, Any]:
    """One metric at every contender's `x`, with intervals and a power law where one can be fitted.

    All are measured on the items that they share.

    Args:
        on: the place.
        axis: what x is, as ``parameters``.
        contenders: each with its x, from 0.
        settings: level, draws, seed and scores.
        name: the metric.
        at: where else to predict, each above 0.

    Returns:
        ``on``, ``axis``, ``metric``, ``unit``, ``direction``, ``n``, ``level``, ``points``, ``law``
        (None where there is none, and ``why`` then says why), ``curve`` and ``predictions``.

    Raises:
        ContractError: no item is shared, or what is true of the items differs.
    """
    ordered = sorted(contenders, key=lambda c: c.x or 0.0)
    items = _shared(ordered)
    metric = settings.scores.get(name, items[0].labels)
    points = _points(metric, ordered, items, settings)
    return {
        "on": on,
        "axis": axis,
        "metric": name,
        "unit": metric.unit,
        "direction": metric.direction,
        "n": len(items[0]),
        "level": settings.level,
        "points": points,
        **_law(metric, points, items, settings, at, name),
    }


def _points(
    metric: Metric, contenders: Sequence[Contender], items: Sequence[Items], settings: Settings
) -> list[dict[str, Any]]:
    """The metric of each contender with its interval; values that aren't finite are None."""
    points = []
    for contender, one in zip(contenders, items, strict=True):
        value = metric(one)
        ends = interval(
            metric, one, level=settings.level, draws=settings.draws, seed=settings.seed
        ).ends()
        points.append(
            {
                "model": contender.name,
                "x": contender.x,
                "value": value if math.isfinite(value) else None,
                "ci_low": ends[0],
                "ci_high": ends[1],
            }
        )
    return points


def _law(
    metric: Metric,
    points: Sequence[Mapping[str, Any]],
    items: Sequence[Items],
    settings: Settings,
    at: Sequence[float],
    name: str,
) -> dict[str, Any]:
    """The fitted power law with its curve and predictions, or why there is none."""
    xs = [float(point["x"] or 0.0) for point in points]
    values = [math.nan if point["value"] is None else point["value"] for point in points]
    why = scaling.obstacle(xs, values)
    if not all(map(math.isfinite, values)):
        why = f"{name} isn't defined at every x"
    if why:
        return {"law": None, "why": why, "curve": [], "predictions": []}
    asked = sorted({*(x for x in xs if x > 0), *at})
    grid = np.geomspace(asked[0], asked[-1], CURVE).tolist() if len(asked) > 1 else []
    resampled = scaling.draws_of(metric, items, draws=settings.draws, seed=settings.seed)
    law = scaling.fit(
        xs, values, resampled, within=metric.range, at=[*grid, *at], level=settings.level
    )
    if isinstance(law, str):
        return {"law": None, "why": law, "curve": [], "predictions": []}
    rows = [
        {"x": p.x, "value": p.value, "ci_low": p.low, "ci_high": p.high} for p in law.predictions
    ]
    told = {
        key: getattr(law, key)
        for key in (
            *("limit", "factor", "exponent", "exponent_low", "exponent_high", "explained"),
            "points",
        )
    }
    return {"law": told, "why": None, "curve": rows[: len(grid)], "predictions": rows[len(grid) :]}


def _shared(contenders: Sequence[Contender]) -> list[Items]:
    """Everybody's items, those that all have, in the order of the first."""
    first, ids = contenders[0], set(contenders[0].seen.ids)
    for other in contenders[1:]:
        align(first.seen, other.seen)  # refuses other labels and another truth
        ids &= set(other.seen.ids)
    if not ids:
        raise ContractError("the models share none of their items")
    rows = np.array([i for i, item in enumerate(first.seen.ids) if item in ids], dtype=np.int64)
    common = kept(first.seen, rows)
    return [one_of(common)] + [one_of(align(common, c.seen)[1]) for c in contenders[1:]]
