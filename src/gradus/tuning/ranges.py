"""The learning-rate range test (Smith 2017, Cyclical learning rates for training neural networks).

The rate rises exponentially from update to update, once through a short stage. Where the loss
begins to fall the rate is large enough to matter, where it is lowest a greater one does harm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gradus.tuning.space import Space

SMOOTHING: Final = 0.9
BEGUN: Final = 0.1
"""The loss has begun to fall once it has fallen by this share of all that it falls."""
LEAST: Final = 10


@dataclass(frozen=True, slots=True)
class Range:
    """What a range test found.

    Attributes:
        rates: of each update, rising.
        losses: smoothed, as many; ends where the loss was no number any more.
        low, high: between which the loss falls; None where it doesn't.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, Any]:
        """For records and reports."""
        return {
            "rates": list(self.rates),
            "losses": list(self.losses),
            "low": self.low,
            "high": self.high,
        }


def smoothed(losses: Sequence[float], factor: float = SMOOTHING) -> list[float]:
    """An exponential mean of those up to each, corrected for its beginning (Kingma & Ba 2015).

    >>> smoothed([2.0, 2.0, 2.0])
    [2.0, 2.0, 2.0]
    """
    found, mean = [], 0.0
    for count, loss in enumerate(losses, start=1):
        mean = factor * mean + (1 - factor) * loss
        found.append(round(mean / (1 - factor**count), 12))
    return found


def read(curve: Sequence[Mapping[str, Any]], stage: int) -> Range:
    """The range that the curve of a test of stage `stage` tells."""
    rows = [
        (float(row["lr"]), float(row["train_loss"]))
        for row in curve
        if row.get("stage") == stage and "train_loss" in row and "select_loss" not in row
    ]
    rows = [(rate, loss) for rate, loss in rows if math.isfinite(loss) and rate > 0]
    rates, losses = [r for r, _ in rows], smoothed([loss for _, loss in rows])
    if len(rows) < LEAST:
        return Range(tuple(rates), tuple(losses))
    lowest = min(range(len(losses)), key=losses.__getitem__)
    fall = losses[0] - losses[lowest]
    if lowest == 0 or fall <= 0.01 * abs(losses[0]):
        return Range(tuple(rates), tuple(losses))
    begun = next(i for i, loss in enumerate(losses) if losses[0] - loss >= BEGUN * fall)
    return Range(tuple(rates), tuple(losses), rates[begun], rates[lowest])


def narrowed(space: Space, found: Range) -> Space:
    """The space within what the test found; as it is where the two have nothing in common."""
    if found.low is None or found.high is None or space.kind not in ("log", "uniform"):
        return space
    low, high = max(space.low, found.low), min(space.high, found.high)
    if low >= high:
        return space
    return Space(space.place, space.kind, low, high)
