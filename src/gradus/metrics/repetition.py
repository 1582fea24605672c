# ruff: noqa: RUF012  # declared as ClassVars by the base
"""How much a text repeats itself."""

from __future__ import annotations

from gradus.metrics.writings import ColumnRatio


class Repetition(ColumnRatio):
    """Share of runs of four words that stood in the same text before, all texts together.

    The paper's seq-rep-4, weighted by length. NaN where no text has four words.
    """

    name = "repetition"
    unit = "proportion"
    direction = "lower"
    range = (0.0, 1.0)
    source = "Welleck et al. (2020), Neural text generation with unlikelihood training, seq-rep-4"
    summary = "diversity: share of runs of four words that stood in the same text before"
    facts = {"words": "alphanumeric.v1"}
    columns = ("repeated_4", "all_4")
