"""Learning curves: lines over stages. Widths are per cent, so text keeps its size on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from gradus.report.charts.scale import Scale, nice
from gradus.report.charts.svg import join, percent, tag
from gradus.report.format import number

HEIGHT = 190
MANY = 60


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name, its style (1 to 4), its points (x, y), x ascending, and its breaks.

    A break is the index of a point that isn't joined to the one before it.
    """

    name: str
    style: int
    points: tuple[tuple[float, float], ...]
    breaks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Band:
    """A stage on the x axis."""

    label: str
    start: float
    end: float


def line_chart(title: str, series: Sequence[Series], bands: Sequence[Band], axis: str) -> Markup:
    """An SVG of the lines; `axis` names the unit of x. Needs at least one point."""
    xs = [x for s in series for x, _ in s.points] + [b.end for b in bands]
    ys = [y for s in series for _, y in s.points]
    across = nice([min([0.0, *xs]), *xs], count=6, fit=True)
    up = nice(ys, count=4)
    parts = _bands(bands, across) + _grid(across, up, axis)
    for s in series:
        parts += _line(s, across, up, axis)
    return tag(
        "svg",
        *parts,
        class_="lines",
        width="100%",
        height=HEIGHT,
        role="img",
        aria_label=_describe(title, series),
    )


def _describe(title: str, series: Sequence[Series]) -> str:
    told = [
        f"{s.name} from {number(s.points[0][1])} to {number(s.points[-1][1])}"
        for s in series
        if s.points
    ]
    return f"{title}: {', '.join(told)}"


def _bands(bands: Sequence[Band], across: Scale) -> list[Markup]:
    parts = []
    for i, band in enumerate(bands):
        start, end = across.share(band.start), across.share(band.end)
        if i % 2 == 0:
            parts.append(
                tag(
                    "rect",
                    x=percent(start),
                    y=0,
                    width=percent(end - start),
                    height="100%",
                    class_="band",
                )
            )
        if i:
            parts.append(
                tag("line", x1=percent(start), x2=percent(start), y1=0, y2="100%", class_="border")
            )
        wide = end - start >= 0.16
        parts.append(
            tag(
                "text",
                f"{i + 1} {band.label}" if wide else str(i + 1),
                x=percent((start + end) / 2),
                y=-7,
                text_anchor="middle",
                class_="tick stage",
            )
        )
    return parts


def _grid(across: Scale, up: Scale, axis: str) -> list[Markup]:
    parts = []
    for tick in up.ticks:
        y = percent(1 - up.share(tick))
        parts.append(tag("line", x1=0, x2="100%", y1=y, y2=y, class_="grid"))
        parts.append(
            tag("text", up.label(tick), x=-8, y=y, dy="0.32em", text_anchor="end", class_="tick")
        )
    for tick in across.ticks:
        x = percent(across.share(tick))
        parts.append(
            tag(
                "text",
                across.label(tick),
                x=x,
                y="100%",
                dy="1.5em",
                text_anchor="middle",
                class_="tick",
            )
        )
    parts.append(
        tag("text", axis, x="100%", y="100%", dy="2.9em", text_anchor="end", class_="tick")
    )
    return parts


def _line(s: Series, across: Scale, up: Scale, axis: str) -> list[Markup]:
    """The line in a stretched box of its own, and its points at their true shape."""
    placed = [(across.share(x), 1 - up.share(y)) for x, y in s.points]
    cuts = [0, *s.breaks, len(placed)]
    pieces = [placed[a:b] for a, b in pairwise(cuts)]
    paths = [" ".join(f"{100 * x:.2f},{100 * y:.2f}" for x, y in piece) for piece in pieces]
    parts = [
        tag(
            "svg",
            *(tag("polyline", points=path, class_=f"line s{s.style}") for path in paths),
            viewBox="0 0 100 100",
            preserveAspectRatio="none",
            width="100%",
            height="100%",
            overflow="visible",
        )
    ]
    for (x, y), (px, py) in zip(s.points, placed, strict=True):
        parts.append(
            tag(
                "circle",
                tag("title", f"{s.name} {number(y)} at {axis} {number(x)}"),
                cx=percent(px),
                cy=percent(py),
                r=3.5 if len(placed) <= MANY else 1.2,
                class_=f"dot s{s.style}",
            )
        )
    return parts


def legend(series: Sequence[Series]) -> Markup:
    """Names beside samples of the lines."""
    keys = [
        tag(
            "span",
            tag(
                "svg",
                tag("line", x1=0, x2=22, y1=6, y2=6, class_=f"line s{s.style}"),
                width=22,
                height=12,
                aria_hidden="true",
            ),
            f" {s.name}",
            class_="key",
        )
        for s in series
    ]
    return join(keys)
