"""Coherence of texts, by the likeness of neighbouring sentences."""

from __future__ import annotations

from gradus.metrics.writings import ColumnRatio


class Coherence(ColumnRatio):
    """Mean over texts of the mean cosine of neighbouring sentences' embeddings.

    Texts of a single sentence are left out; NaN where there are no others. A text that says one
    thing again and again is at the top of the scale, so what counts is how near a writer comes to
    people's value, beside `repetition`.
    """

    name = "coherence"
    unit = "cosine"
    direction = "higher"
    range = (-1.0, 1.0)
    source = (
        "Foltz, Kintsch and Landauer (1998), The measurement of textual coherence with latent "
        "semantic analysis"
    )
    summary = "writings: mean cosine of neighbouring sentences' embeddings"
    facts = {"sentences": "sentences.v1"}  # noqa: RUF012  # declared as a ClassVar by the base
    bound = ("embedder",)
    columns = ("coherence",)
