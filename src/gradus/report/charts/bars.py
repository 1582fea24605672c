"""Stacked bars: what a whole is made of, a bar for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gradus.report.charts.svg import join, percent, tag


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a bar: its name, how much it is, its style (1 to 4) and its tooltip."""

    name: str
    amount: float
    style: int
    told: str


def stacked(label: str, parts: Sequence[Part]) -> Markup:
    """One bar over the whole width, its parts by their shares of the sum.

    Parts without an amount are left out; a bar without any is an empty frame.
    """
    total = sum(part.amount for part in parts)
    drawn, start = [], 0.0
    for part in parts:
        if total <= 0 or part.amount <= 0:
            continue
        share = part.amount / total
        drawn.append(
            tag(
                "rect",
                tag("title", part.told),
                x=percent(start),
                y=0,
                width=percent(share),
                height="100%",
                class_=f"part p{part.style}",
            )
        )
        start += share
    told = "; ".join(part.told for part in parts)
    return tag("svg", *drawn, width="100%", height=18, role="img", aria_label=f"{label}: {told}")


def legend(parts: Sequence[Part]) -> Markup:
    """Names beside samples of the parts."""
    return join(
        [
            tag(
                "span",
                tag(
                    "svg",
                    tag("rect", x=0, y=1, width=12, height=10, class_=f"part p{part.style}"),
                    width=14,
                    height=12,
                    aria_hidden="true",
                ),
                f" {part.name}",
                class_="key",
            )
            for part in parts
        ]
    )
