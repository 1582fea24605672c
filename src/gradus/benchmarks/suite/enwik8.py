"""enwik8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gradus.benchmarks.suite.hutter import Hutter


class Enwik8(Hutter):
    """How many bits a byte of Wikipedia takes, its markup included."""

    name: ClassVar[str] = "enwik8.v1"
    title: ClassVar[str] = "enwik8"
    summary: ClassVar[str] = "enwik8: bits a byte of Wikipedia's XML"
    protocol: ClassVar[str] = (
        "The last 5,000,000 bytes (`split` for others) are one text in disjoint windows of at "
        "most 1,024 tokens behind the beginning-of-text token (preset gpt2-paper; others on "
        "request). A character that the split cuts in two is left out. Bits are divided by the "
        "bytes scored; intervals are taken over blocks of at least 5,000 characters up to the "
        "end of a line."
    )
    metrics: ClassVar[tuple[str, ...]] = (
        "bits_per_byte",
        "bits_per_character",
        "byte_perplexity",
        "token_perplexity",
        "log_likelihood_nats",
    )
    compared: ClassVar[tuple[str, ...]] = ("bits_per_byte",)
    origin: ClassVar[str] = (
        "Mahoney 2006, Large Text Compression Benchmark; enwik8 of "
        "https://mattmahoney.net/dc/enwik8.zip"
    )
    sha256: ClassVar[Mapping[str, str]] = {
        "2b49720ec4d78c3c9fabaee6e4179a5e997302b3a70029f30f2d582218c024a8": "whole",
    }
    # Of 256 values that are equally probable a byte takes 8 bits.
    chance: ClassVar[float | None] = 8.0
    published: ClassVar[Mapping[str, str]] = {"bits_per_byte": "enwik8"}
    ends: ClassVar[str] = "\n"
