"""Summaries of news articles: CNN/DailyMail after "TL;DR:"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from gradus.benchmarks.replies.base import Reader, ReplyBenchmark, document, records
from gradus.benchmarks.texts import Document, TextBenchmarkConfig
from gradus.generation.decoding import Decoding
from gradus.generation.prompts import Cut

# A full stop, question or exclamation mark (with a closing quote or bracket) and white space, or
# the end of a line. An abbreviation such as "Mr." ends a sentence too early.
_END = re.compile(r"(?<=[.!?])[\"')\]’”]*\s+|\n+")
SENTENCES = 3


class SummariesConfig(TextBenchmarkConfig):
    """A file of JSON lines with ``article`` and ``highlights``.

    Attributes:
        path: the file.
        limit: only the first so many articles; all when left out.
        max_tokens: tokens that are written, before the first three sentences are taken.
        top_k: how many of the most probable tokens one is drawn from; 1 is greedy.
        seed: of what is drawn.
    """

    max_tokens: Annotated[int, Field(ge=1)] = 100
    top_k: Annotated[int, Field(ge=1)] = 2
    seed: Annotated[int, Field(ge=0)] = 0


class Summaries(ReplyBenchmark):
    """CNN/DailyMail, summarised after "TL;DR:" (Radford et al. 2019, section 3.6)."""

    name: ClassVar[str] = "cnn-dailymail.v1"
    summary: ClassVar[str] = "CNN/DailyMail: articles summarised after 'TL;DR:'"
    protocol: ClassVar[str] = (
        "After the article and, on a line of its own, 'TL;DR:' the model writes 100 tokens, each "
        "drawn from the two most probable ones; the first three sentences are the summary, held "
        "against the highlights. An article that is too long for the model loses its end."
    )
    metrics: ClassVar[tuple[str, ...]] = ("rouge_1", "rouge_2", "rouge_l")
    compared: ClassVar[tuple[str, ...]] = ("rouge_l", "rouge_1", "rouge_2")
    Config: ClassVar[type[TextBenchmarkConfig]] = SummariesConfig
    origin: ClassVar[str] = (
        "Hermann et al. (2015), Teaching machines to read and comprehend; Nallapati et al. (2016); "
        "version 3.0.0 of the data set cnn_dailymail, its test split as JSON lines"
    )
    licence: ClassVar[str] = "Apache-2.0 for the data set; the articles are CNN's and Daily Mail's"
    format: ClassVar[str] = "article, line end, TL;DR:"

    @classmethod
    def read(cls, config: SummariesConfig, path: Path) -> Sequence[Document]:
        """See `TextBenchmark.read`."""
        found = []
        for line, fields in islice(records(path), config.limit):
            record = Reader(path, fields, line=line)
            article = record.text("article").strip()
            highlights = record.text("highlights").strip()
            found.append(document(Cut(article, "\nTL;DR:"), [highlights], article))
        return found

    @classmethod
    def decoding(cls, config: SummariesConfig) -> Decoding:
        """Top-k with k = 2."""
        if config.top_k == 1:
            return Decoding(max_tokens=config.max_tokens)
        return Decoding(
            max_tokens=config.max_tokens, temperature=1.0, top_k=config.top_k, seed=config.seed
        )

    @classmethod
    def finished(cls, text: str) -> str:
        """The first three sentences."""
        return first_sentences(text, SENTENCES)

    @classmethod
    def form(cls, config: Any) -> str:
        """Of the prompt, and what of the text is taken."""
        return f"{cls.format}; first {SENTENCES} sentences"


def first_sentences(text: str, count: int) -> str:
    """The first `count` sentences of a text, as they stand.

    >>> first_sentences(" One. Two? Three.", 2)
    'One. Two?'
    """
    bare = text.strip()
    ends = [found.start() for found in islice(_END.finditer(bare), count - 1, count)]
    if not ends:
        return bare
    closing = _END.match(bare, ends[0])
    return bare[: ends[0]] + (closing[0].strip() if closing else "")
