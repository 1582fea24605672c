"""Which candidates are worth going on with, and in what order the claim is tested.

Everything here sees dev.select alone; what it leaves to be tested is tested on another split.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from gradus.compressing.base import COSTS, ORIGINAL, Aim, Point
from gradus.gates import GateSpec
from gradus.records import Answer, Measurement

MOST_CLAIMS: Final = 5
"""So many checkpoints are tested at most: each is one more pass over the claim's split."""


def points(
    measured: Sequence[Measurement], hows: Mapping[str, str], budget: GateSpec, target: Aim
) -> list[Point]:
    """A point for each checkpoint of `hows` (name -> in words), the original among them."""
    found = [_point(name, how, measured, budget) for name, how in hows.items()]
    threshold = _threshold(found[list(hows).index(ORIGINAL)].value, budget)
    judged = [
        replace(p, within=p.value is not None and budget.holds(p.value, threshold)) for p in found
    ]
    return [replace(p, front=_on_front(p, judged, budget, target)) for p in judged]


def _point(name: str, how: str, measured: Sequence[Measurement], budget: GateSpec) -> Point:
    own = {m.metric: m for m in measured if m.checkpoint == name}
    quality = own.get(budget.measured)
    return Point(
        name=name,
        how=how,
        value=None if quality is None else quality.value,
        ci_low=None if quality is None else quality.ci_low,
        ci_high=None if quality is None else quality.ci_high,
        costs={
            metric: (m.value, m.ci_low, m.ci_high)
            for metric in COSTS.values()
            if (m := own.get(metric)) is not None
        },
    )


def _threshold(reference: float | None, budget: GateSpec) -> float:
    if reference is None:
        return math.nan
    return reference * (budget.factor or 1.0) + budget.margin


def cost(point: Point, target: Aim) -> float:
    """What shall be small: milliseconds, megabytes, or seconds a text; infinite where unknown."""
    value = point.costs.get(COSTS[target], (None, None, None))[0]
    if value is None or not math.isfinite(value):
        return math.inf
    return 1.0 / value if target == "throughput" and value > 0 else value


def _merit(point: Point, budget: GateSpec) -> float:
    """Larger is better; the lowest there is where it is unknown."""
    if point.value is None or not math.isfinite(point.value):
        return -math.inf
    return point.value if budget.upward else -point.value


def _on_front(point: Point, every: Sequence[Point], budget: GateSpec, target: Aim) -> bool:
    mine = (cost(point, target), -_merit(point, budget))
    if math.inf in mine:
        return False
    for other in every:
        theirs = (cost(other, target), -_merit(other, budget))
        if theirs != mine and theirs[0] <= mine[0] and theirs[1] <= mine[1]:
            return False
    return True


def best(found: Sequence[Point], target: Aim, most: int) -> list[Point]:
    """The cheapest of those within the budget, the original left aside; at most so many."""
    within = [p for p in found if p.within and p.name != ORIGINAL]
    return sorted(within, key=lambda p: (cost(p, target), p.name))[:most]


def order(found: Sequence[Point], budget: GateSpec, target: Aim) -> list[Point]:
    """Whom the claim is tested of, and in which order: from the dearest to the cheapest.

    Those on the front that are within the budget and cheaper than the original; where they are too
    many, the cheapest. Each is tested at the full level as long as all before it were admitted
    (Maurer, Hothorn and Lehmacher 1995), so the first has to be the one that can fail least: along
    the front the dearer is the better.
    """
    original = next(p for p in found if p.name == ORIGINAL)
    asked = [
        p
        for p in best(found, target, len(found))
        if p.front and cost(p, target) < cost(original, target)
    ]
    return list(reversed(asked[:MOST_CLAIMS]))


def recommended(tested: Sequence[Point]) -> Point | None:
    """The last that was admitted before the first that wasn't; `tested` in the order of testing."""
    admitted: Point | None = None
    for point in tested:
        if point.verdict is None or point.verdict.verdict is not Answer.OPEN:
            break
        admitted = point
    return admitted
