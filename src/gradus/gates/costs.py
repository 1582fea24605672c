"""Gates on what a checkpoint costs: amounts as they stand, timings by ratio or difference."""

from __future__ import annotations

import math
from typing import Any

from gradus.gates.deciding import decide, items_for_bounds, needed_text, nothing_shared
from gradus.gates.grammar import GateSpec
from gradus.gates.sequence import POINT
from gradus.gates.sides import Side
from gradus.gates.wording import bounds_text, number, signed
from gradus.records import Answer, Measurement, Verdict


def amounts(gate: GateSpec, pair: tuple[Measurement, Measurement], note: str) -> Verdict:
    """Two amounts, which are the same each time they are taken."""
    value, reference = pair[0].value, pair[1].value
    assert value is not None
    assert reference is not None
    threshold = (gate.factor or 1.0) * reference + gate.margin
    met = gate.holds(value, threshold)
    share = f", {number(value / reference)} times as much" if reference else ""
    return Verdict(
        gate=gate.text,
        verdict=Answer.OPEN if met else Answer.CLOSED,
        why=f"{number(value)} {pair[0].unit} against {number(reference)} {pair[0].unit}{share}; "
        f"{'is' if met else 'is not'} {gate.op} {number(threshold)} {pair[0].unit}{note}",
        test=POINT,
        value=value,
        reference=reference,
        difference=value - reference,
        n=pair[0].n,
    )


def timings(
    gate: GateSpec, own: Side, other: Side, note: str, metric: Any, settings: dict[str, Any]
) -> Verdict:
    """Two series of timings."""
    from gradus.stats import paired

    first = metric.timings(own.observed) if own.observed is not None else None
    second = metric.timings(other.observed) if other.observed is not None else None
    if first is None or second is None or not len(first) or not len(second):
        lacking = own.name if first is None or not len(first) else other.name
        return nothing_shared(gate, f"the timings of {lacking} were not kept, nothing to compare")
    as_ratio = gate.margin == 0
    threshold = (gate.factor or 1.0) if as_ratio else gate.margin
    found = paired.timings(
        first, second, quantile=metric.quantile, factor=None if as_ratio else 1.0, **settings
    )
    answer = decide(gate, found.low, found.high, threshold)
    rounds = min(len(first), len(second))
    value, reference = metric(own.observed), metric(other.observed)
    n_needed = None
    if answer is Answer.UNDECIDED:
        n_needed = items_for_bounds(
            found.value, found.low, found.high, threshold, rounds, settings["level"]
        )
    change = f"{number(found.value)} times" if as_ratio else signed(found.value)
    bounds = bounds_text(gate, answer, found.low, found.high, settings["level"], sign=not as_ratio)
    return Verdict(
        gate=gate.text,
        verdict=answer,
        why=f"{number(value)} against {number(reference)} {metric.unit} in {rounds} rounds: "
        f"{change}, {bounds} ({found.method}); asked for {gate.op} {number(threshold)}"
        f"{needed_text(answer, n_needed, 'rounds')}{note}",
        test=found.method,
        value=value,
        reference=reference,
        difference=found.value if not as_ratio else value - reference,
        ci_low=found.low if math.isfinite(found.low) else None,
        ci_high=found.high if math.isfinite(found.high) else None,
        n=rounds,
        n_needed=n_needed,
    )
