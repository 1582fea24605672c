"""Axes: round ticks and positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear axis from `low` to `high` with ticks at round numbers."""

    low: float
    high: float
    ticks: tuple[float, ...]
    decimals: int

    def share(self, value: float) -> float:
        """Where a value lies, 0 at `low` and 1 at `high`, held within both."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def label(self, tick: float) -> str:
        """A tick as text, with equal decimals, or with a power of ten below a thousandth."""
        if tick and self.decimals > 3:
            mantissa, _, exponent = f"{tick:.2e}".partition("e")
            return f"{float(mantissa):g}e{int(exponent)}".replace("-", "\u2212")
        text = f"{abs(tick):,.{0 if self.decimals > 3 else self.decimals}f}"
        return f"\u2212{text}" if tick < 0 and float(text.replace(",", "")) else text


def step_for(span: float, count: int) -> float:
    """The step of 1, 2, 2.5 or 5 times a power of ten that gives about `count` ticks."""
    raw = span / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))


def nice(
    values: Sequence[float],
    count: int = 5,
    least: float | None = None,
    greatest: float | None = None,
    fit: bool = False,
) -> Scale:
    """A scale that holds all values, between `least` and `greatest` where they are given.

    With `fit` the axis ends at the extreme values themselves, not at ticks outside them.

    >>> nice([0.93, 0.98]).ticks
    (0.93, 0.94, 0.95, 0.96, 0.97, 0.98)
    """
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low <= 1e-12 * max(1.0, abs(high)):
        pad = abs(high) * 0.05 or 0.5
        low, high = low - pad, high + pad
        low = low if least is None else max(low, least)
        high = high if greatest is None else min(high, greatest)
    step = step_for(high - low, count)
    if not fit:
        low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if step / 10.0 ** math.floor(math.log10(step) + 1e-9) == 2.5:
        decimals += 1
    ticks = tuple(round(i * step, 12) for i in range(first, last + 1))
    return Scale(low=low, high=high, ticks=ticks, decimals=decimals)
