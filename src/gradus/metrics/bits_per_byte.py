"""Bits a byte."""

from __future__ import annotations

from gradus.metrics.ratios import Bits


class BitsPerByte(Bits):
    """Negative binary log-likelihood of all texts by their bytes in UTF-8; NaN without bytes."""

    name = "bits_per_byte"
    source = "Shannon (1948); Radford et al. (2019), table 3, enwik8"
    summary = "bits that the model needs for a byte of UTF-8"
    unit = "bits/byte"
