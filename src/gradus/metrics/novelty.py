# ruff: noqa: RUF012  # declared as ClassVars by the base
"""How much of what was written doesn't stand in the training text."""

from __future__ import annotations

from gradus.metrics.writings import ColumnRatio


class _Novelty(ColumnRatio):
    """Share of the n-grams of all texts that the training text hasn't; NaN without any.

    Each counts as often as it stands in the texts. Words are in lower case, without punctuation.
    """

    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = "McCoy et al. (2023), How much do language models copy from their training data? RAVEN"
    facts = {"words": "alphanumeric.v1", "of": "the train split"}
    bound = ("training",)


class Novelty4(_Novelty):
    """Share of runs of four words that the training text hasn't."""

    name = "novelty_4"
    summary = "novelty: share of runs of four words that the training text hasn't"
    columns = ("novel_4", "grams_4")


class Novelty8(_Novelty):
    """Share of runs of eight words that the training text hasn't."""

    name = "novelty_8"
    summary = "novelty: share of runs of eight words that the training text hasn't"
    columns = ("novel_8", "grams_8")
