"""Perplexity of a byte."""

from __future__ import annotations

from gradus.metrics.ratios import Perplexity


class BytePerplexity(Perplexity):
    """e to the negative log-likelihood of all texts by their bytes in UTF-8; NaN without bytes.

    2 to the power of `bits_per_byte`.
    """

    name = "byte_perplexity"
    source = "lm-evaluation-harness, byte_perplexity"
    summary = "e to the mean negative log-likelihood of a byte"
    unit = "perplexity of a byte"
