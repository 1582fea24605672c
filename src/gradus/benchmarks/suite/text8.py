"""text8."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from gradus.benchmarks.suite.hutter import Hutter
from gradus.errors import DataError


class Text8(Hutter):
    """How many bits a character of Wikipedia takes, of 26 letters and the space."""

    name: ClassVar[str] = "text8.v1"
    title: ClassVar[str] = "text8"
    summary: ClassVar[str] = "text8: bits a character of Wikipedia in 27 characters"
    protocol: ClassVar[str] = (
        "The last 5,000,000 characters (`split` for others) are one text in disjoint windows of "
        "at most 1,024 tokens behind the beginning-of-text token (preset gpt2-paper; others on "
        "request). Bits are divided by the characters; intervals are taken over blocks of at "
        "least 5,000 characters up to the next space."
    )
    metrics: ClassVar[tuple[str, ...]] = (
        "bits_per_character",
        "token_perplexity",
        "word_perplexity",
        "log_likelihood_nats",
    )
    compared: ClassVar[tuple[str, ...]] = ("bits_per_character",)
    origin: ClassVar[str] = (
        "Mahoney 2006, About the Test Data; text8 of https://mattmahoney.net/dc/text8.zip"
    )
    sha256: ClassVar[Mapping[str, str]] = {
        "6e890197040d37d85beb962ae1f041ff1d9a9ca8d20c7d99c85027eebf51dca7": "whole",
    }
    # 27 characters that are equally probable.
    chance: ClassVar[float | None] = math.log2(27)
    published: ClassVar[Mapping[str, str]] = {"bits_per_character": "text8"}
    ends: ClassVar[str] = " "

    @classmethod
    def check(cls, raw: bytes, path: Path) -> None:
        """Refuse what is neither a letter from a to z nor a space.

        Raises:
            DataError: says which byte.
        """
        wrong = re.search(rb"[^a-z ]", raw)
        if wrong:
            raise DataError(
                f"byte {wrong.start():,} is {wrong[0]!r}, and text8 has the letters a to z and "
                "spaces alone: this is another file",
                file=path,
            )
