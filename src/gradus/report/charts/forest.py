"""Forest plot: a row for each checkpoint or pair, a mark with its interval for each value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gradus.report.charts.scale import Scale, nice
from gradus.report.charts.svg import percent, tag

RING, DIAMOND, DISC = 1, 2, 3
"""Styles of marks: after a step, or a difference that isn't significant; on test; significant."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A value with its interval; `style` is RING, DIAMOND or DISC; `told` is its tooltip."""

    value: float
    low: float
    high: float
    style: int
    told: str


@dataclass(frozen=True, slots=True)
class Row:
    """What is compared and its marks."""

    label: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """A titled plot, drawn: rows beside their SVG, and the axis under them."""

    title: str
    rows: tuple[tuple[Row, Markup], ...]
    axis: Markup


def plot(title: str, rows: Sequence[Row], *, rule: float | None = None) -> Plot:
    """The rows on one axis that holds every interval and, where it is given, the `rule`.

    The rule is a line through all rows: of differences, zero.
    """
    scale = scale_of(rows, () if rule is None else (rule,))
    drawn = tuple((row, row_svg(row, scale, rule)) for row in rows)
    return Plot(title, drawn, axis_svg(scale))


def scale_of(rows: Sequence[Row], holds: Sequence[float] = ()) -> Scale:
    """An axis that holds every interval and what else it shall hold."""
    values = [v for row in rows for m in row.marks for v in (m.low, m.high)]
    return nice([*values, *holds], count=5)


def close_up(rows: Sequence[Row], best: str) -> list[Row]:
    """The rows near the best one, when the others would squeeze them into a corner; else none.

    Near means: an interval that reaches within two widths of the best row's interval.
    """
    ours = [m for row in rows if row.label == best for m in row.marks]
    if not ours:
        return []
    low, high = min(m.low for m in ours), max(m.high for m in ours)
    width = max(high - low, 1e-9)
    near = [
        row
        for row in rows
        if row.marks
        and all(m.high >= low - 2 * width and m.low <= high + 2 * width for m in row.marks)
    ]
    everything = [v for row in rows for m in row.marks for v in (m.low, m.high)]
    kept = [v for row in near for m in row.marks for v in (m.low, m.high)]
    squeezed = max(kept) - min(kept) < 0.4 * (max(everything) - min(everything))
    return near if len(near) >= 2 and squeezed else []


def row_svg(row: Row, scale: Scale, rule: float | None = None) -> Markup:
    """The marks of one row over the grid, one below the other."""
    parts = [_line(scale.share(tick), "grid") for tick in scale.ticks]
    if rule is not None:
        parts.append(_line(scale.share(rule), "rule"))
    for i, mark in enumerate(row.marks):
        y = percent((i + 1) / (len(row.marks) + 1))
        low, high = percent(scale.share(mark.low)), percent(scale.share(mark.high))
        parts.append(tag("line", x1=low, x2=high, y1=y, y2=y, class_=f"whisker m{mark.style}"))
        parts.append(_shape(mark, percent(scale.share(mark.value)), y))
    told = "; ".join(m.told for m in row.marks) or "not measured"
    return tag(
        "svg", *parts, width="100%", height="100%", role="img", aria_label=f"{row.label}: {told}"
    )


def _line(share: float, kind: str) -> Markup:
    x = percent(share)
    return tag("line", x1=x, x2=x, y1=0, y2="100%", class_=kind)


def _shape(mark: Mark, x: str, y: str) -> Markup:
    title = tag("title", mark.told)
    if mark.style == DIAMOND:
        diamond = tag("path", title, d="M0-6.5L6.5 0L0 6.5L-6.5 0Z", class_="mark m2")
        return tag("svg", diamond, x=x, y=y, overflow="visible")
    return tag("circle", title, cx=x, cy=y, r=4.5, class_=f"mark m{mark.style}")


def axis_svg(scale: Scale) -> Markup:
    """The numbers under the rows."""
    parts = [
        tag(
            "text",
            scale.label(tick),
            x=percent(scale.share(tick)),
            y=14,
            text_anchor="middle",
            class_="tick",
        )
        for tick in scale.ticks
    ]
    return tag("svg", *parts, width="100%", height=20, aria_hidden="true")
