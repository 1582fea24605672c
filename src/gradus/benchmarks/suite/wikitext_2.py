"""WikiText-2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gradus.benchmarks.suite.wikitext import WikiText


class WikiText2(WikiText):
    """How probable 60 good and featured articles of Wikipedia are, rare words being ``<unk>``."""

    name: ClassVar[str] = "wikitext-2.v1"
    title: ClassVar[str] = "WikiText-2"
    summary: ClassVar[str] = "WikiText-2: perplexity of a word in articles of Wikipedia"
    origin: ClassVar[str] = (
        "Merity et al. 2016, Pointer Sentinel Mixture Models; wiki.test.tokens of "
        "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip, or "
        "wiki.test.raw of wikitext-2-raw-v1.zip"
    )
    sha256: ClassVar[Mapping[str, str]] = {
        "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0": "test, tokens",
        "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8": "valid, tokens",
        "173c87a53759e0201f33e0ccf978e510c2042d7f2cb78229d9a50d79b9e7dd08": "test, raw",
        "4cd0f6876d07a413aa911261ff6d363c72d757d47f0fdd6015702014c89cb9c7": "valid, raw",
    }
    published: ClassVar[Mapping[str, str]] = {"word_perplexity": "wikitext-2"}
