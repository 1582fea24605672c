"""WikiText-103."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gradus.benchmarks.suite.wikitext import WikiText


class WikiText103(WikiText):
    """The articles of WikiText-2's test set with a vocabulary of 267,735 words."""

    name: ClassVar[str] = "wikitext-103.v1"
    title: ClassVar[str] = "WikiText-103"
    summary: ClassVar[str] = "WikiText-103: perplexity of a word in articles of Wikipedia"
    origin: ClassVar[str] = (
        "Merity et al. 2016, Pointer Sentinel Mixture Models; wiki.test.tokens of "
        "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-103-v1.zip, or "
        "wiki.test.raw of wikitext-103-raw-v1.zip"
    )
    published: ClassVar[Mapping[str, str]] = {"word_perplexity": "wikitext-103"}
