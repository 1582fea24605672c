# ruff: noqa: RUF012  # declared as ClassVars by the base
"""Share of sentences that are broken."""

from __future__ import annotations

from gradus.metrics.writings import ColumnRatio


class BrokenSentences(ColumnRatio):
    """Share of the sentences of all texts that have a fault on their surface; a proxy for grammar.

    The faults are listed in `gradus.writing.faults`. NaN without sentences.
    """

    name = "broken_sentences"
    unit = "proportion"
    direction = "lower"
    range = (0.0, 1.0)
    source = "surface rules for English and Chinese, stated in gradus.writing.faults"
    summary = "fluency: share of sentences that are broken by a stated rule (a proxy for grammar)"
    facts = {"faults": "faults.v1", "sentences": "sentences.v1"}
    columns = ("broken", "sentences")
