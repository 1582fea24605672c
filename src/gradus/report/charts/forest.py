"""Forest plot: a row for each checkpoint, a mark with its interval for each split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gradus.report.charts.scale import Scale, nice
from gradus.report.charts.svg import percent, tag


@dataclass(frozen=True, slots=True)
class Mark:
    """A value with its interval; `style` is 1 (ring) or 2 (diamond); `told` is its tooltip."""

    value: float
    low: float
    high: float
    style: int
    told: str


@dataclass(frozen=True, slots=True)
class Row:
    """A checkpoint and its marks."""

    label: str
    marks: tuple[Mark, ...]


def scale_of(rows: Sequence[Row]) -> Scale:
    """An axis that holds every interval."""
    values = [v for row in rows for m in row.marks for v in (m.low, m.high)]
    return nice(values, count=5)


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


def row_svg(row: Row, scale: Scale) -> Markup:
    """The marks of one row over the grid, one below the other."""
    parts = [_rule(scale.share(tick)) for tick in scale.ticks]
    for i, mark in enumerate(row.marks):
        y = percent((i + 1) / (len(row.marks) + 1))
        low, high = percent(scale.share(mark.low)), percent(scale.share(mark.high))
        parts.append(tag("line", x1=low, x2=high, y1=y, y2=y, class_=f"whisker m{mark.style}"))
        parts.append(_shape(mark, percent(scale.share(mark.value)), y))
    told = "; ".join(m.told for m in row.marks) or "not measured"
    return tag(
        "svg", *parts, width="100%", height="100%", role="img", aria_label=f"{row.label}: {told}"
    )


def _rule(share: float) -> Markup:
    x = percent(share)
    return tag("line", x1=x, x2=x, y1=0, y2="100%", class_="grid")


def _shape(mark: Mark, x: str, y: str) -> Markup:
    title = tag("title", mark.told)
    if mark.style == 1:
        return tag("circle", title, cx=x, cy=y, r=4.5, class_="mark m1")
    diamond = tag("path", title, d="M0-6.5L6.5 0L0 6.5L-6.5 0Z", class_="mark m2")
    return tag("svg", diamond, x=x, y=y, overflow="visible")


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
