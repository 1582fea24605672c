"""What every kind of test has in common: the answer that bounds give, and how many would decide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gradus.gates.grammar import GateSpec
from gradus.records import Answer, Verdict

if TYPE_CHECKING:
    from gradus.metrics.repeated import Seen

MISSING = "missing"


def decide(gate: GateSpec, low: float, high: float, threshold: float) -> Answer:
    """Open where the unfavourable bound clears, closed where the favourable one fails."""
    worst, best = (low, high) if gate.upward else (high, low)
    if math.isnan(low) or math.isnan(high):
        return Answer.UNDECIDED
    if gate.holds(worst, threshold):
        return Answer.OPEN
    return Answer.UNDECIDED if gate.holds(best, threshold) else Answer.CLOSED


def nothing_shared(gate: GateSpec, why: str) -> Verdict:
    """Closed, since there is nothing that could be compared."""
    return Verdict(gate=gate.text, verdict=Answer.CLOSED, why=why, test=MISSING)


def items_for_bounds(
    value: float, low: float, high: float, threshold: float, n: int, level: float
) -> int | None:
    """Items at which an estimate with these bounds is told from the threshold."""
    from gradus.stats import power

    half = value - low if value > threshold else high - value
    needed = power.for_bootstrap(value - threshold, half, n, level=level)
    return None if needed is None else max(needed, n + 1)


def needed_text(answer: Answer, n_needed: int | None, what: str) -> str:
    """How many items (or rounds) would decide, where a gate is undecided."""
    if answer is not Answer.UNDECIDED:
        return ""
    if n_needed is None:
        return f"; how many {what} would decide can't be told from these"
    return f"; about {n_needed:,} {what} would decide"


def with_seeds(*sides: Seen | None) -> str:
    """How many seeds each side has, where one has several."""
    from gradus.metrics.repeated import runs_of

    counts = [len(runs_of(seen)) for seen in sides if seen is not None]
    if max(counts, default=1) == 1:
        return ""
    return f" and {' against '.join(map(str, counts))} seed{'s' if max(counts) > 1 else ''}"
