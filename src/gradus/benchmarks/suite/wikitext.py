"""WikiText: articles of Wikipedia, cut into words (Merity et al. 2016).

A file is ``wiki.test.tokens`` (rare words behind ``<unk>``) or ``wiki.test.raw``. Every line stands
between two spaces, empty lines are one space; an article begins with its title, `` = Title = ``,
with an empty line before and after.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from gradus.benchmarks.suite.detokenisers import WIKITEXT
from gradus.benchmarks.suite.files import check_split, lines_of, read_text
from gradus.benchmarks.suite.invertible import Convention
from gradus.benchmarks.suite.running import Protocol, RunningConfig, RunningText
from gradus.benchmarks.texts import TextBenchmarkConfig
from gradus.errors import DataError

_TITLE: Final = re.compile(r"^ = (?!= )(?:.*[^=] |)= $")
_SECTION: Final = re.compile(r"^ (?:= ){2,}.* (?:= ){2,}$")

OFFICIAL_WORDS: Final[Mapping[str, int]] = {"test": 245_569, "valid": 217_646}
"""Tokens and line ends, as table 1 of the paper counts them; both corpora share these articles."""

OFFICIAL_LINES: Final[Mapping[str, int]] = {"test": 4_358, "valid": 3_760}
"""Lines of either form; what the raw one, of which no token count is published, is known by."""


class WikiTextConfig(RunningConfig):
    """What WikiText takes.

    Attributes:
        split: which file it must be; left out, whichever of the published ones it is.
    """

    split: Literal["test", "valid"] | None = None


class WikiText(RunningText):
    """Base of WikiText-2 and WikiText-103.

    Class attributes, beside those of `RunningText`:
        title: the corpus by name.
    """

    Config: ClassVar[type[TextBenchmarkConfig]] = WikiTextConfig
    convention: ClassVar[Convention | None] = WIKITEXT
    title: ClassVar[str]
    protocol: ClassVar[str] = (
        "The articles of the file, without its tokenisation as far as that can be undone, are "
        "one text in disjoint windows of at most 1,024 tokens behind the beginning-of-text token "
        "(preset gpt2-paper; others on request). Word-level perplexity divides by the published "
        "file's tokens and line ends, intervals are taken over articles."
    )
    licence: ClassVar[str] = "CC BY-SA 3.0 and GFDL (text of Wikipedia)"

    @classmethod
    def documents(cls, config: Any, path: Path) -> Sequence[str]:
        """The articles; what stands before the first title belongs to the first.

        Raises:
            DataError: no WikiText, truncated, or another split.
        """
        lines = lines_of(read_text(path), path)
        _check_frames(lines, path)
        starts = [
            place
            for place, line in enumerate(lines)
            if _TITLE.match(line)
            and (place == 0 or lines[place - 1] == " ")
            and lines[place + 1 : place + 2] in ([" "], [])
        ]
        if not starts:
            raise DataError(
                "no article begins anywhere: WikiText's titles stand as ' = Title = ' between "
                "empty lines",
                file=path,
            )
        if any(line != " " for line in lines[: starts[0]]):
            raise DataError(
                "text before the first title ' = Title = ': the beginning of the file is missing",
                file=path,
                line=1,
            )
        raw = not any("<unk>" in line for line in lines)
        check_split(
            len(lines) if raw else sum(len(line.split()) + 1 for line in lines),
            OFFICIAL_LINES if raw else OFFICIAL_WORDS,
            config.split,
            "lines" if raw else "tokens and line ends",
            f"{cls.title}, raw" if raw else cls.title,
            whole=config.whole,
            path=path,
        )
        ends = [*starts[1:], len(lines)]
        return [
            "".join(f"{line}\n" for line in lines[0 if start == starts[0] else start : end])
            for start, end in zip(starts, ends, strict=True)
        ]

    @classmethod
    def published_text(cls, texts: Sequence[str], protocol: Protocol) -> Sequence[str]:
        """Pages as lm-evaluation-harness has them where its words are counted, else articles.

        Its pages lack the empty line before the first title and, but for the last, the last line
        end.
        """
        if protocol.words != "lm-eval":
            return texts
        pages = [text.removesuffix("\n") for text in texts[:-1]] + list(texts[-1:])
        return [page.removeprefix(" \n") for page in pages]

    @classmethod
    def rows(cls, text: str) -> list[str]:
        """The rows of the hub's data set: lines with their ends, empty ones as nothing."""
        return [f"{line}\n" if line.strip() else "" for line in text.removesuffix("\n").split("\n")]


def _check_frames(lines: Sequence[str], path: Path) -> None:
    for number, line in enumerate(lines, start=1):
        if line == " " or (line[:1] == line[-1:] == " " and len(line) > 2):
            continue
        raise DataError(
            "a line of WikiText begins and ends with a space (an empty one is a space); this is "
            "another format, or white space was stripped: use the published wiki.*.tokens or "
            "wiki.*.raw",
            file=path,
            line=number,
        )
