# ruff: noqa: RUF012  # declared as ClassVars by the base
"""How alike a writer's texts are."""

from __future__ import annotations

from gradus.metrics.writings import TEXTS_EACH, ColumnRatio


class SelfBleu(ColumnRatio):
    """Mean BLEU-4 of each text of a writer against all the others; low is varied.

    Rises with the number of texts, so writers are comparable where they wrote equally many. Words
    are in lower case, without punctuation; an order without a match counts as 0.1 matches (Chen
    and Cherry 2014, method 1). Texts without words are left out; NaN with fewer than two.
    """

    name = "self_bleu"
    unit = "proportion"
    direction = "lower"
    range = (0.0, 1.0)
    source = "Zhu et al. (2018), Texygen: a benchmarking platform for text generation models"
    summary = "diversity: mean BLEU-4 of each text against all others of its writer"
    facts = {"words": "alphanumeric.v1", "orders": 4, "interval": "jackknife over prompts"}
    bound = (TEXTS_EACH,)
    of_set = True
    columns = ("self_bleu",)
