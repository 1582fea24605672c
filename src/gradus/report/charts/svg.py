"""SVG elements as escaped strings."""

from __future__ import annotations

import unicodedata

from markupsafe import Markup, escape


def tag(name: str, *children: Markup | str, **attributes: object) -> Markup:
    """An element; `_` in attribute names becomes `-`, a trailing one is dropped, text is escaped.

    >>> tag("text", "a < b", x=1, text_anchor="end", class_="tick")
    Markup('<text x="1" text-anchor="end" class="tick">a &lt; b</text>')
    """
    pairs = [
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _value(value))
        for key, value in attributes.items()
        if value is not None
    ]
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), Markup("").join(pairs), inside)


def _value(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value


def percent(share: float) -> str:
    """A share of one as an SVG length.

    >>> percent(0.5)
    '50%'
    """
    return f"{100 * share:.5g}%"


def join(parts: list[Markup]) -> Markup:
    """Elements one after another."""
    return Markup("").join(parts)


def shorten(text: str, width: int) -> str:
    """At most `width` columns, wide characters counted as two, cut with an ellipsis.

    >>> shorten("finetune", 5)
    'fine…'
    """
    room, kept = width, ""
    for character in text:
        room -= 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if room < 0:
            return kept[: max(1, len(kept) - 1)] + "\u2026"
        kept += character
    return kept
