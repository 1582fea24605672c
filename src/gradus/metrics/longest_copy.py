# ruff: noqa: RUF012  # declared as ClassVars by the base
"""How long a stretch a text has verbatim in common with the training text."""

from __future__ import annotations

import math

from gradus.metrics.writings import ColumnRatio


class LongestCopy(ColumnRatio):
    """Mean over texts of the longest stretch that stands verbatim in one training document.

    In characters; case, spaces and line ends count. Ordinary phrases make some twenty characters,
    so read it beside people's.
    """

    name = "longest_copy"
    unit = "characters"
    direction = "lower"
    range = (0.0, math.inf)
    source = "Carlini et al. (2023), Quantifying memorization across neural language models"
    summary = "memorisation: longest verbatim overlap with the training text, mean over texts"
    facts = {"of": "the train split"}
    columns = ("longest_copy",)
    bound = ("training",)
