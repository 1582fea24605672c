"""Scaling: a metric against size, shots or tokens on a logarithmic axis, and the law through it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gradus.report.charts.scale import Scale, nice
from gradus.report.charts.svg import percent, tag

HEIGHT = 280
MARGIN = 0.05
"""Share of the width at either side of the outermost points."""
ZERO = 0.1
"""Share of the width between zero, which has no logarithm, and the rest."""


@dataclass(frozen=True, slots=True)
class Point:
    """A value with its interval at one x; `told` is its tooltip; `measured`, or else predicted."""

    x: float
    value: float
    low: float
    high: float
    told: str
    measured: bool = True


@dataclass(frozen=True, slots=True)
class Across:
    """A logarithmic axis from `low` to `high`, with zero at its left end where `zero`."""

    low: float
    high: float
    zero: bool

    def share(self, x: float) -> float:
        """Where `x` lies, in [0, 1]."""
        if x <= 0:
            return MARGIN
        start = MARGIN + (ZERO if self.zero else 0.0)
        span = math.log(self.high / self.low)
        along = math.log(x / self.low) / span if span else 0.5
        return start + (1 - MARGIN - start) * along

    @property
    def ticks(self) -> tuple[float, ...]:
        """Zero, and round numbers: powers of ten, with others between them where few fit in."""
        decades = math.log10(self.high / self.low)
        digits = (1, 2, 5) if decades < 1.2 else (1, 3) if decades < 2.5 else (1,)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        found = [d * 10.0**p for p in powers for d in digits]
        held = [t for t in found if self.low * (1 - 1e-9) <= t <= self.high * (1 + 1e-9)]
        return (*([0.0] if self.zero else []), *(held or [self.low]))


def across(xs: Sequence[float]) -> Across:
    """The axis that holds every x; zeros stand apart.

    >>> across([1e5, 1e8]).ticks
    (100000.0, 1000000.0, 10000000.0, 100000000.0)
    """
    above = [x for x in xs if x > 0] or [1.0]
    return Across(min(above), max(above), any(x <= 0 for x in xs))


def short(x: float) -> str:
    """A count as people write it.

    >>> short(134515008), short(2000), short(4), short(0)
    ('135M', '2k', '4', '0')
    """
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= size:
            return f"{x / size:.3g}{letter}"
    return f"{x:.3g}"


def scaling_chart(
    title: str,
    points: Sequence[Point],
    curve: Sequence[tuple[float, float, float, float]],
    axis: str,
) -> Markup:
    """An SVG of the points and, as (x, value, low, high), the curve; `axis` names x."""
    wide = across([p.x for p in points] + [x for x, *_ in curve])
    high = nice([v for p in points for v in (p.value, p.low, p.high)], count=5)
    parts = _grid(wide, high, axis) + _curve(curve, wide, high)
    for point in points:
        parts += _drawn(point, wide, high)
    told = "; ".join(p.told for p in points)
    return tag(
        "svg",
        tag("title", title),
        *parts,
        class_="lines",
        width="100%",
        height=HEIGHT,
        role="img",
        aria_label=f"{title}: {told}",
    )


def _grid(wide: Across, high: Scale, axis: str) -> list[Markup]:
    parts = []
    for tick in high.ticks:
        y = percent(1 - high.share(tick))
        parts.append(tag("line", x1=0, x2="100%", y1=y, y2=y, class_="grid"))
        label = high.label(tick)
        parts.append(tag("text", label, x=-8, y=y, dy="0.32em", text_anchor="end", class_="tick"))
    below = {"y": "100%", "class_": "tick"}
    for tick in wide.ticks:
        x = percent(wide.share(tick))
        parts.append(tag("text", short(tick), x=x, dy="1.5em", text_anchor="middle", **below))
    parts.append(tag("text", axis, x="100%", dy="2.9em", text_anchor="end", **below))
    return parts


def _curve(
    curve: Sequence[tuple[float, float, float, float]], wide: Across, high: Scale
) -> list[Markup]:
    """The law and the band of its intervals, in a stretched box of their own."""
    if not curve:
        return []

    def place(x: float, y: float) -> str:
        return f"{100 * wide.share(x):.2f},{100 * (1 - high.share(y)):.2f}"

    upper = [place(x, top) for x, _, _, top in curve]
    lower = [place(x, bottom) for x, _, bottom, _ in reversed(curve)]
    return [
        tag(
            "svg",
            tag("polygon", points=" ".join(upper + lower), class_="fan"),
            tag("polyline", points=" ".join(place(x, y) for x, y, _, _ in curve), class_="line s1"),
            viewBox="0 0 100 100",
            preserveAspectRatio="none",
            width="100%",
            height="100%",
        )
    ]


def _drawn(point: Point, wide: Across, high: Scale) -> list[Markup]:
    x, y = percent(wide.share(point.x)), percent(1 - high.share(point.value))
    low, top = (percent(1 - high.share(end)) for end in (point.low, point.high))
    style = "m1" if point.measured else "m2"
    title = tag("title", point.told)
    if point.measured:
        mark = tag("circle", title, cx=x, cy=y, r=4.5, class_=f"mark {style}")
    else:
        shape = tag("path", title, d="M0-6.5L6.5 0L0 6.5L-6.5 0Z", class_=f"mark {style}")
        mark = tag("svg", shape, x=x, y=y, overflow="visible")
    return [tag("line", x1=x, x2=x, y1=low, y2=top, class_=f"whisker {style}"), mark]
