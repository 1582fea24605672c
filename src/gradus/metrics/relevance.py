"""Relevance of texts to their prompts, by the likeness of embeddings."""

from __future__ import annotations

from gradus.metrics.writings import ColumnRatio


class Relevance(ColumnRatio):
    """Mean over texts of the cosine of the text's and its prompt's embeddings.

    Empty texts are left out; NaN where there are no others. A text that copies its prompt is at the
    top of the scale: read it beside people's value.
    """

    name = "relevance"
    unit = "cosine"
    direction = "higher"
    range = (-1.0, 1.0)
    source = "Reimers and Gurevych (2019), Sentence-BERT: sentence embeddings using Siamese BERT"
    summary = "writings: mean cosine of the embeddings of text and prompt"
    bound = ("embedder",)
    columns = ("relevance",)
