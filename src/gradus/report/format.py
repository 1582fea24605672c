"""How numbers are written: the same in HTML, Markdown and on the terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

MINUS = "\u2212"
NONE = "\u2013"

_DIGEST = re.compile(r"\b([0-9a-f]{16})[0-9a-f]{48}\b")
_THREE_DECIMALS = frozenset({"proportion", "correlation", "nats", "bits"})
_SUFFIXES = {"ms": " ms", "MB": " MB", "texts/s": " texts/s", "tokens/s": " tokens/s", "s": " s"}


def number(value: float | None, unit: str = "") -> str:
    """A value without its unit: three decimals for proportions, else three or four digits.

    >>> number(0.97297, "proportion"), number(12.345, "ms"), number(1234567.0), number(None)
    ('0.973', '12.3', '1,234,567', '–')
    """
    if value is None or not math.isfinite(value):
        return NONE
    size = abs(value)
    if unit in _THREE_DECIMALS:
        text = f"{size:.3f}"
    elif unit in _SUFFIXES and (size >= 0.001 or size == 0):
        decimals = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
        text = f"{size:,.{decimals}f}"
    elif size >= 1000 or float(value).is_integer():
        text = f"{size:,.0f}" if size < 1e12 else f"{size:.2e}"
    elif size >= 100:
        text = f"{size:.0f}"
    elif size >= 0.001:
        text = f"{size:.3g}" if size >= 1 else f"{size:.3f}"
    else:
        text = f"{size:.1e}"
    negative = value < 0 and any(c in "123456789" for c in text)
    return f"{MINUS}{text}" if negative else text


def quantity(value: float | None, unit: str = "") -> str:
    """A value with its unit, where the unit is one that is written out.

    >>> quantity(12.345, "ms"), quantity(0.5, "proportion")
    ('12.3 ms', '0.500')
    """
    text = number(value, unit)
    return text if text == NONE else text + _SUFFIXES.get(unit, "")


def interval(low: float | None, high: float | None, unit: str = "") -> str:
    """A confidence interval, or nothing when there is none.

    >>> interval(0.9421, 0.9881, "proportion")
    '[0.942, 0.988]'
    """
    if low is None or high is None:
        return ""
    return f"[{number(low, unit)}, {number(high, unit)}]"


def signed(value: float | None, unit: str = "") -> str:
    """A difference with its sign.

    >>> signed(0.021, "proportion"), signed(-0.021, "proportion")
    ('+0.021', '−0.021')
    """
    text = number(value, unit)
    return text if text == NONE or text.startswith(MINUS) else f"+{text}"


def p_value(value: float | None) -> str:
    """A p-value as papers write it.

    >>> p_value(0.00002), p_value(0.0312)
    ('p < 0.001', 'p = 0.031')
    """
    if value is None:
        return ""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def duration(seconds: float | None) -> str:
    """Seconds in the unit that a person would use.

    >>> duration(4.21), duration(65), duration(7384)
    ('4.2 s', '1 min 05 s', '2 h 03 min')
    """
    if seconds is None:
        return NONE
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def percent(share: float | None) -> str:
    """A share of one as per cent.

    >>> percent(0.31)
    '31%'
    """
    return NONE if share is None else f"{100 * share:.0f}%"


def count(n: int, noun: str, plural: str | None = None) -> str:
    """A number of things.

    >>> count(1, "gate"), count(2, "reading")
    ('1 gate', '2 readings')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def moment(stamp: str | None) -> str:
    """An ISO 8601 time to the minute, as it stands in the record's own zone.

    >>> moment("2026-03-04T10:20:30.5+00:00")
    '2026-03-04 10:20'
    """
    return NONE if not stamp else stamp[:16].replace("T", " ")


def plain(value: Any) -> str:
    """Any JSON value as a short readable text; mappings as ``key value`` pairs, digests cut short.

    >>> plain({"float32": 139, "bfloat16": 401}), plain([1, "a"]), plain(None)
    ('float32 139, bfloat16 401', '1, a', '–')
    """
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(v)}" for key, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(v) for v in value)
    return _DIGEST.sub(r"\1…", str(value))
