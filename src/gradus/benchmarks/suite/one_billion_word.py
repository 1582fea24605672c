"""The One Billion Word Benchmark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from gradus.benchmarks.suite.detokenisers import ONE_BILLION_WORD
from gradus.benchmarks.suite.files import check_count, lines_of, read_text
from gradus.benchmarks.suite.invertible import Convention
from gradus.benchmarks.suite.running import Protocol, RunningText
from gradus.errors import DataError, SourceError

SHARD: Final = re.compile(r"^news\.en\.heldout-(\d{5})-of-00050$")
OFFICIAL_WORDS: Final[Mapping[str, int]] = {"00000": 159_658}
"""Tokens and sentence ends of the shard that the literature takes as the test set."""


class OneBillionWord(RunningText):
    """How probable sentences of news are, shuffled, so that each stands alone."""

    name: ClassVar[str] = "one-billion-word.v1"
    summary: ClassVar[str] = "One Billion Word: perplexity of a word in single sentences of news"
    protocol: ClassVar[str] = (
        "Each sentence, without its tokenisation as far as that can be undone, is a text by "
        "itself behind the beginning-of-text token. Word-level perplexity divides by the "
        "published file's tokens and sentence ends; intervals are taken over sentences."
    )
    origin: ClassVar[str] = (
        "Chelba et al. 2013, One Billion Word Benchmark; "
        "heldout-monolingual.tokenized.shuffled/news.en.heldout-00000-of-00050 of "
        "http://www.statmt.org/lm-benchmark/1-billion-word-language-modeling-benchmark-r13output"
        ".tar.gz"
    )
    licence: ClassVar[str] = "Apache 2.0 (scripts); text of the news of WMT 2011"
    published: ClassVar[Mapping[str, str]] = {"word_perplexity": "one-billion-word"}
    convention: ClassVar[Convention | None] = ONE_BILLION_WORD
    layout: ClassVar[Literal["documents", "lines", "text", "sentences"]] = "sentences"

    @classmethod
    def documents(cls, config: Any, path: Path) -> Sequence[str]:
        """The sentences of a shard, or of every shard in a folder, in the shards' order.

        Raises:
            DataError: a name that isn't a shard's, an empty line, a truncated file.
            SourceError: the folder has no shard.
        """
        shards = [path]
        if path.is_dir():
            shards = sorted(one for one in path.iterdir() if SHARD.match(one.name))
            if not shards:
                raise SourceError(f"{path}: no file is named news.en.heldout-00000-of-00050")
        return [text for shard in shards for text in _sentences(shard, whole=config.whole)]

    @classmethod
    def scored(cls, text: str, protocol: Protocol) -> str:
        """The sentence without the line's end, which isn't text here."""
        return super().scored(text.removesuffix("\n"), protocol)


def _sentences(path: Path, *, whole: bool) -> list[str]:
    named = SHARD.match(path.name)
    if named is None or int(named[1]) >= 50:
        raise DataError(
            "a shard is named news.en.heldout-00000-of-00050 to -00049-of-00050; give one of them "
            "under its own name, or their folder",
            file=path,
        )
    text = read_text(path)
    lines = lines_of(text, path)
    words = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise DataError("an empty line, and each holds one sentence", file=path, line=number)
        words += len(line.split()) + 1
    official = OFFICIAL_WORDS.get(named[1])
    if official is not None:
        what = "the first held-out shard"
        check_count(words, official, "tokens and sentence ends", what, whole=whole, path=path)
    return [f"{line}\n" for line in lines]
