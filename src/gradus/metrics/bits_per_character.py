"""Bits a character."""

from __future__ import annotations

from gradus.metrics.ratios import Bits


class BitsPerCharacter(Bits):
    """Negative binary log-likelihood of all texts by their characters (code points).

    NaN without characters. Of text in ASCII it is `bits_per_byte`.
    """

    name = "bits_per_character"
    source = "Shannon (1951), Prediction and entropy of printed English"
    summary = "bits that the model needs for a character"
    unit = "bits/character"
