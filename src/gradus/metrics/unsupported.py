# ruff: noqa: RUF012  # declared as ClassVars by the base
"""How many of the stated names and numbers have no support."""

from __future__ import annotations

from gradus.metrics.writings import ColumnRatio


class Unsupported(ColumnRatio):
    """Share of the names and numbers in all texts that stand neither in source nor prompt.

    Each name and number once a text; NaN where none is stated. Whether what is said of them holds
    isn't asked, and a story may well bring in names of its own: read it beside people's.
    """

    name = "unsupported"
    unit = "proportion"
    direction = "lower"
    range = (0.0, 1.0)
    source = "Nan et al. (2021), Entity-level factual consistency of abstractive text summarization"
    summary = "accuracy: share of names and numbers in the texts that neither source nor prompt has"
    facts = {"names": "names.v1", "numbers": "numbers.v1"}
    columns = ("unsupported", "stated")
