# ruff: noqa: RUF012  # declared as ClassVars by the base
"""How many of the stated names and numbers have support."""

from __future__ import annotations

from gradus.metrics.writings import ColumnRatio


class Supported(ColumnRatio):
    """Share of the names and numbers in all texts that stand in their source or prompt.

    Each name and number once a text; NaN where none is stated. Whether what is said of them holds
    isn't asked, and a story may well bring in names of its own: read it beside people's.
    """

    name = "supported"
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = "Nan et al. (2021), Entity-level factual consistency of abstractive text summarization"
    summary = "accuracy: share of names and numbers in the texts that source or prompt has too"
    facts = {"names": "names.v1", "numbers": "numbers.v1"}
    columns = ("supported", "stated")
