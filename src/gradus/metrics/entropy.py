# ruff: noqa: RUF012  # declared as ClassVars by the base
"""Entropy of the words that a writer uses."""

from __future__ import annotations

import math

from gradus.metrics.writings import TEXTS_EACH, ColumnRatio


class Entropy(ColumnRatio):
    """Entropy of the words of all texts of a writer, in bits a word.

    Of the frequencies as they are, without a correction for words not seen, so it rises with the
    amount of text: writers are comparable where their texts are equally many and equally long. NaN
    without words.
    """

    name = "entropy"
    unit = "bits/word"
    direction = "higher"
    range = (0.0, math.inf)
    source = "Shannon (1948); of generated text: Zhang et al. (2018), Ent-n"
    summary = "diversity: entropy of the words of the texts"
    facts = {"words": "alphanumeric.v1", "interval": "jackknife over prompts"}
    bound = (TEXTS_EACH,)
    of_set = True
    columns = ("entropy",)
