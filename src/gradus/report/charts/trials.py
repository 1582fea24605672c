"""Trials of a search: dots over one axis, and lines across many (parallel coordinates)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gradus.report.charts.scale import Scale, nice
from gradus.report.charts.scaling import Across, across, short
from gradus.report.charts.svg import percent, shorten, tag

HEIGHT = 210
TALL = 260
MARGIN = 0.06


@dataclass(frozen=True, slots=True)
class Axis:
    """What x is: its name, whether it is logarithmic, and the names of its places if it has any."""

    name: str
    log: bool = False
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dot:
    """A trial at x (the index of a place where the axis has places) and y.

    `style` is 1 for one that went through all stages, 2 for one that rests, 3 for the best.
    """

    x: float
    y: float
    told: str
    style: int = 1


@dataclass(frozen=True, slots=True)
class Along:
    """Where an x lies on an axis of whatever kind."""

    axis: Axis
    linear: Scale
    logarithmic: Across

    def share(self, x: float) -> float:
        """In [0, 1]."""
        if self.axis.places:
            return (x + 0.5) / len(self.axis.places)
        if self.axis.log:
            return self.logarithmic.share(x)
        return MARGIN + (1 - 2 * MARGIN) * self.linear.share(x)

    def ticks(self) -> list[tuple[float, str]]:
        """Values and their labels."""
        if self.axis.places:
            width = max(4, 44 // len(self.axis.places))
            return [(i, shorten(name, width)) for i, name in enumerate(self.axis.places)]
        if self.axis.log:
            return [(tick, short(tick)) for tick in self.logarithmic.ticks]
        return [(tick, self.linear.label(tick)) for tick in self.linear.ticks]


def along(axis: Axis, xs: Sequence[float]) -> Along:
    """The axis with room for every x."""
    return Along(axis, nice(xs, count=5, fit=True), across(xs if axis.log else [1.0]))


def dots_chart(
    title: str, dots: Sequence[Dot], axis: Axis, best: Sequence[tuple[float, float]] = ()
) -> Markup:
    """An SVG of the dots; `best` is a line through (x, y), drawn in steps."""
    wide, high = along(axis, [d.x for d in dots]), nice([d.y for d in dots], count=4)
    parts = _grid(wide, high, axis.name)
    if best:
        stairs = [best[0]]
        for (_, before), (x, y) in itertools.pairwise(best):
            stairs += [(x, before), (x, y)]
        points = " ".join(
            f"{100 * wide.share(x):.2f},{100 * (1 - high.share(y)):.2f}" for x, y in stairs
        )
        line = tag("polyline", points=points, class_="line s1")
        box = {"viewBox": "0 0 100 100", "preserveAspectRatio": "none"}
        parts.append(tag("svg", line, width="100%", height="100%", **box))
    for dot in dots:
        parts.append(_dot(dot, wide.share(dot.x), high.share(dot.y)))
    return _svg(title, dots, parts, HEIGHT)


def _svg(title: str, dots: Sequence[Dot], parts: Sequence[Markup], height: int) -> Markup:
    told = "; ".join(d.told for d in dots[:12]) + ("…" if len(dots) > 12 else "")
    return tag(
        "svg",
        tag("title", title),
        *parts,
        class_="lines",
        width="100%",
        height=height,
        role="img",
        aria_label=f"{title}: {told}",
    )


def _dot(dot: Dot, x: float, y: float) -> Markup:
    title = tag("title", dot.told)
    where = {"cx": percent(x), "cy": percent(1 - y)}
    if dot.style == 3:
        return tag("circle", title, r=6.5, class_="mark m3", **where)
    return tag("circle", title, r=4.5, class_=f"mark m{dot.style}", **where)


def _grid(wide: Along, high: Scale, name: str) -> list[Markup]:
    parts = []
    for tick in high.ticks:
        y = percent(1 - high.share(tick))
        parts.append(tag("line", x1=0, x2="100%", y1=y, y2=y, class_="grid"))
        label = high.label(tick)
        parts.append(tag("text", label, x=-8, y=y, dy="0.32em", text_anchor="end", class_="tick"))
    below = {"y": "100%", "class_": "tick"}
    for value, label in wide.ticks():
        x = percent(wide.share(value))
        parts.append(tag("text", label, x=x, dy="1.5em", text_anchor="middle", **below))
    parts.append(tag("text", name, x="100%", dy="2.9em", text_anchor="end", **below))
    return parts


def parallel_chart(
    title: str, axes: Sequence[Axis], rows: Sequence[tuple[Sequence[float], str, int]]
) -> Markup:
    """An SVG of lines across vertical axes, one a row of values; the row's style is that of dots.

    The best is drawn last, so that it lies on top.
    """
    columns = [[values[i] for values, _, _ in rows] for i in range(len(axes))]
    scales = [along(axis, column) for axis, column in zip(axes, columns, strict=True)]
    step = 100 / max(1, len(axes) - 1)
    lines = []
    for values, told, style in sorted(rows, key=lambda row: row[2]):
        points = " ".join(
            f"{i * step:.2f},{100 * (1 - scale.share(value)):.2f}"
            for i, (scale, value) in enumerate(zip(scales, values, strict=True))
        )
        kind = {1: "line trial s1", 2: "line trial s2", 3: "line s3 best"}[style]
        lines.append(tag("polyline", tag("title", told), points=points, class_=kind))
    box = {"viewBox": "0 0 100 100", "preserveAspectRatio": "none"}
    parts = [tag("svg", *lines, width="100%", height="100%", overflow="visible", **box)]
    for i, (axis, scale) in enumerate(zip(axes, scales, strict=True)):
        x = percent(i * step / 100)
        anchor = "start" if i == 0 else "end" if i == len(axes) - 1 else "middle"
        parts.append(tag("line", x1=x, x2=x, y1=0, y2="100%", class_="border"))
        name = shorten(axis.name, 24)
        dy = "2.4em" if i % 2 else "1.2em"
        parts.append(
            tag("text", name, x=x, y="100%", dy=dy, text_anchor=anchor, class_="tick stage")
        )
        ticks = scale.ticks()
        ends = ticks if axis.places else [ticks[0], ticks[-1]] if len(ticks) > 1 else ticks
        for value, label in ends:
            y = percent(1 - scale.share(value))
            side = {"text_anchor": "end", "dx": -4} if i == len(axes) - 1 else {"dx": 4}
            parts.append(tag("text", label, x=x, y=y, dy="0.32em", class_="tick", **side))
    told = f"{len(rows)} trials across {', '.join(axis.name for axis in axes)}"
    return tag(
        "svg",
        tag("title", title),
        *parts,
        class_="lines",
        width="100%",
        height=TALL,
        role="img",
        aria_label=f"{title}: {told}",
    )


def shares_chart(title: str, shares: Sequence[tuple[str, float]]) -> Markup:
    """An SVG of horizontal bars, one a named share of one."""
    row = 26
    parts = []
    for i, (name, share) in enumerate(shares):
        y = i * row
        bar = {"x": "38%", "width": percent(max(0.002, 0.5 * share)), "height": 14}
        parts.append(tag("rect", y=y + 4, class_="part p1", **bar))
        parts.append(tag("text", shorten(name, 30), x=0, y=y + 15, class_="tick"))
        label = f"{100 * share:.0f} %"
        parts.append(tag("text", label, x=percent(0.39 + 0.5 * share), y=y + 15, class_="tick"))
    told = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares)
    return tag(
        "svg",
        tag("title", title),
        *parts,
        width="100%",
        height=row * len(shares) + 4,
        role="img",
        aria_label=f"{title}: {told}",
    )


def finite(value: float | None) -> bool:
    """Whether there is a number to draw."""
    return value is not None and math.isfinite(value)
