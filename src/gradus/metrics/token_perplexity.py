"""Perplexity of a token."""

from __future__ import annotations

from gradus.metrics.ratios import Perplexity


class TokenPerplexity(Perplexity):
    """e to the mean negative log-likelihood of a token; NaN where nothing was scored.

    A tokenizer with longer tokens has a greater one for the same probability of the same text, so
    two checkpoints are only compared where they share their tokenizer.
    """

    name = "token_perplexity"
    source = "Jelinek et al. (1977), Perplexity, a measure of difficulty"
    summary = "e to the mean negative log-likelihood of a token"
    unit = "perplexity of a token"
    bound = ("tokenizer",)
