"""How numbers read in a verdict's sentence."""

from __future__ import annotations

import math

from gradus.gates.grammar import GateSpec
from gradus.records import Answer

_ROUNDING = 1e-9


def number(value: float) -> str:
    """Three decimals below 10, fewer above, three significant digits where small.

    >>> number(0.97302), number(0.00012), number(12.34), number(1234.5)
    ('0.973', '0.00012', '12.3', '1,234')
    """
    size = abs(value)
    if 0 < size < 0.0095:
        return f"{value:.3g}"
    if size < 10:
        return f"{value:.3f}"
    return f"{value:.1f}" if size < 1000 else f"{value:,.0f}"


def signed(value: float) -> str:
    """The number with its sign; what is a rounding error is none.

    >>> signed(0.25), signed(1e-12)
    ('+0.250', '0.000')
    """
    if abs(value) < _ROUNDING:
        return number(0.0)
    return f"+{number(value)}" if value > 0 else number(value)


def p_text(p_value: float) -> str:
    """The p-value as papers write it.

    >>> p_text(0.0004), p_text(0.0312)
    ('p < 0.001', 'p = 0.031')
    """
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def bounds_text(
    gate: GateSpec, answer: Answer, low: float, high: float, level: float, *, sign: bool
) -> str:
    """The bound that decided, or both where none did."""
    write = signed if sign else number
    sure = f"with {100 * level:g} % confidence"
    if not (math.isfinite(low) or math.isfinite(high)):
        return "with too few to give a bound"
    if answer is Answer.UNDECIDED:
        ends = [f"at least {write(low)}" if math.isfinite(low) else ""]
        ends.append(f"at most {write(high)}" if math.isfinite(high) else "")
        return " and ".join(end for end in ends if end) + f" {sure} each"
    lower = gate.upward == (answer is Answer.OPEN)
    return f"at least {write(low)} {sure}" if lower else f"at most {write(high)} {sure}"
