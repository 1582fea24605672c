"""How much better a checkpoint looks on the data that chose it than on fresh data.

Whatever is chosen on dev.select (when to stop, thresholds, the best of many configurations) is
chosen partly for that half's own accidents, so its score there is optimistic. dev.gate has other
items that chose nothing: the difference of the two scores estimates the optimism.

The interval of the difference is made of the two intervals (MOVER: Zou and Donner 2008,
Construction of confidence limits about effect measures; of two Wilson intervals it is Newcombe's
method 10, 1998). It takes each metric's own interval, skewed or not, and asks that the two halves
share no item.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

METHOD: Final = "MOVER"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its two-sided interval."""

    value: float
    low: float
    high: float


def difference(first: Estimate, second: Estimate) -> Estimate:
    """`first` minus `second`, two independent estimates at one level, with its interval.

    An end that either interval leaves open is infinite.

    >>> found = difference(Estimate(0.9, 0.85, 0.93), Estimate(0.8, 0.74, 0.85))
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.1, 0.029, 0.167)
    """
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(value, low, high)


def optimism(select: Estimate, gate: Estimate, *, higher: bool) -> Estimate:
    """How much better the score on dev.select is than that on dev.gate; `higher` says what is good.

    >>> optimism(Estimate(0.2, 0.1, 0.3), Estimate(0.25, 0.15, 0.35), higher=False).value > 0
    True
    """
    return difference(select, gate) if higher else difference(gate, select)
