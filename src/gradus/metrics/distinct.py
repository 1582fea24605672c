# ruff: noqa: RUF012  # declared as ClassVars by the base
"""How many of a writer's n-grams are different ones."""

from __future__ import annotations

from gradus.metrics.writings import TEXTS_EACH, ColumnRatio


class _Distinct(ColumnRatio):
    """Different n-grams of words over all n-grams, all texts of the writer together.

    Falls with the amount of text: writers are comparable where their texts are equally many and
    equally long. What a text has to do with it is the jackknife's (`gradus.writing.diversity`).
    """

    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = "Li et al. (2016), A diversity-promoting objective function for conversation models"
    facts = {"words": "alphanumeric.v1", "interval": "jackknife over prompts"}
    bound = (TEXTS_EACH,)
    of_set = True


class Distinct1(_Distinct):
    """Different words over all words; NaN without words."""

    name = "distinct_1"
    summary = "diversity: different words over all words of the texts"
    columns = ("distinct_1",)


class Distinct2(_Distinct):
    """Different pairs of neighbouring words over all of them; NaN without any."""

    name = "distinct_2"
    summary = "diversity: different pairs of neighbouring words over all pairs"
    columns = ("distinct_2",)


class Distinct3(_Distinct):
    """Different runs of three words over all of them; NaN without any."""

    name = "distinct_3"
    summary = "diversity: different runs of three words over all such runs"
    columns = ("distinct_3",)
