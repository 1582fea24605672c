"""The Penn Treebank as Mikolov prepared it for language modelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from gradus.benchmarks.suite.detokenisers import PTB
from gradus.benchmarks.suite.files import Count, check_split, lines_of, read_text
from gradus.benchmarks.suite.invertible import Convention
from gradus.benchmarks.suite.running import RunningConfig, RunningText
from gradus.benchmarks.texts import TextBenchmarkConfig
from gradus.errors import DataError

OFFICIAL_WORDS: Final[Mapping[str, int]] = {"test": 82_430, "valid": 73_760}
"""Tokens and line ends of the published files."""

VOCABULARY: Final = 10_000
"""Words of the published corpus, ``<unk>``, ``N`` and the end of the line among them."""


class PtbConfig(RunningConfig):
    """What PTB takes.

    Attributes:
        split: which file it must be; left out, whichever of the published ones it is.
        block: lines that make an item, for intervals: the file has no documents.
    """

    split: Literal["test", "valid"] | None = None
    block: Count = 20


class Ptb(RunningText):
    """How probable articles of the Wall Street Journal are, in lower case, without punctuation."""

    name: ClassVar[str] = "ptb.v1"
    summary: ClassVar[str] = "Penn Treebank: perplexity of a word in newspaper text"
    Config: ClassVar[type[TextBenchmarkConfig]] = PtbConfig
    protocol: ClassVar[str] = (
        "The lines of the file, without their tokenisation as far as that can be undone, are one "
        "text in disjoint windows of at most 1,024 tokens behind the beginning-of-text token "
        "(preset gpt2-paper; others on request). Word-level perplexity divides by the published "
        "file's tokens and line ends; intervals are taken over blocks of 20 lines."
    )
    origin: ClassVar[str] = (
        "Marcus et al. 1993, prepared by Mikolov et al. 2010; ptb.test.txt of "
        "https://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz"
    )
    licence: ClassVar[str] = "LDC (text of the Wall Street Journal)"
    sha256: ClassVar[Mapping[str, str]] = {
        "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0": "test",
        "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2": "valid",
    }
    published: ClassVar[Mapping[str, str]] = {"word_perplexity": "ptb"}
    convention: ClassVar[Convention | None] = PTB
    layout: ClassVar[Literal["documents", "lines", "text", "sentences"]] = "lines"

    @classmethod
    def documents(cls, config: Any, path: Path) -> Sequence[str]:
        """Blocks of lines.

        Raises:
            DataError: no such file as Mikolov's, truncated, or another split.
        """
        lines = lines_of(read_text(path), path)
        for number, line in enumerate(lines, start=1):
            if not (line[:1] == line[-1:] == " " and line.strip()):
                raise DataError(
                    "a line of the Penn Treebank begins and ends with a space and isn't empty; "
                    "use the published ptb.test.txt as it is",
                    file=path,
                    line=number,
                )
        vocabulary = {word for line in lines for word in line.split()}
        if len(vocabulary) >= VOCABULARY:
            raise DataError(
                f"{len(vocabulary):,} different words, and the published corpus has fewer than "
                f"{VOCABULARY:,}: this isn't Mikolov's Penn Treebank",
                file=path,
            )
        words = sum(len(line.split()) + 1 for line in lines)
        check_split(
            words,
            OFFICIAL_WORDS,
            config.split,
            "tokens and line ends",
            "Mikolov's Penn Treebank",
            whole=config.whole,
            path=path,
        )
        return [
            "".join(f"{line}\n" for line in lines[start : start + config.block])
            for start in range(0, len(lines), config.block)
        ]

    @classmethod
    def rows(cls, text: str) -> list[str]:
        """The lines without white space around them."""
        return [line.strip() for line in text.removesuffix("\n").split("\n")]

    @classmethod
    def own_terms(cls, config: Any) -> dict[str, str]:
        """The blocks."""
        return {"block": f"{config.block} lines"}
