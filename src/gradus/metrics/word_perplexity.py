"""Perplexity of a word."""

from __future__ import annotations

from gradus.metrics.ratios import Perplexity


class WordPerplexity(Perplexity):
    """e to the negative log-likelihood of all texts by their canonical words; NaN without words.

    The words are those of the benchmark, whatever the tokenizer.
    """

    name = "word_perplexity"
    source = "Radford et al. (2019), section 3.1: canonical prediction units"
    summary = "e to the mean negative log-likelihood of a canonical word"
    unit = "perplexity of a word"
