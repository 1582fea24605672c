"""Translation of line pairs after pairs "english sentence = french sentence"."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from gradus.benchmarks.replies.base import ReplyBenchmark, document, lines
from gradus.benchmarks.texts import Document, TextBenchmarkConfig
from gradus.errors import DataError, SourceError
from gradus.generation.decoding import Decoding
from gradus.sources.base import absolute, require


class TranslationConfig(TextBenchmarkConfig):
    """Two files with one sentence a line.

    Attributes:
        path: the sentences to translate.
        references: their translations; when left out, the file beside it whose name has ``ref``
            where this one's has ``src``, as in ``newstest2014.src`` and ``newstest2014.ref``. A
            relative path is relative to the folder of `path`.
        examples: sentences whose translations are shown in the prompt, as the paper takes them
            from another year's file; when left out, the first lines of the file itself, which
            are then not asked for.
        example_references: their translations; found as `references` are.
        shots: pairs shown.
        limit: only the first so many sentences; all when left out.
        max_tokens: tokens that a translation has at most.
    """

    references: str | None = None
    examples: str | None = None
    example_references: str | None = None
    shots: Annotated[int, Field(ge=1)] = 5
    max_tokens: Annotated[int, Field(ge=1)] = 128

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        if self.example_references is not None and self.examples is None:
            raise ValueError("example_references belongs to examples: name that file too")
        return self


class Translation(ReplyBenchmark):
    """WMT line pairs, translated as by example (Radford et al. 2019, section 3.7)."""

    name: ClassVar[str] = "wmt.v1"
    summary: ClassVar[str] = "WMT line pairs, translated after pairs 'sentence = translation'"
    protocol: ClassVar[str] = (
        "The prompt shows pairs 'english sentence = french sentence', one a line, and ends with "
        "the sentence to translate and '='; the model writes greedily to the end of the line. "
        "BLEU is that of the whole file. A prompt that is too long for the model loses its first "
        "pairs."
    )
    metrics: ClassVar[tuple[str, ...]] = ("bleu",)
    compared: ClassVar[tuple[str, ...]] = ("bleu",)
    Config: ClassVar[type[TextBenchmarkConfig]] = TranslationConfig
    origin: ClassVar[str] = (
        "https://www.statmt.org/wmt14/translation-task.html; as plain text: sacrebleu -t wmt14 "
        "-l en-fr --echo src, and --echo ref"
    )
    licence: ClassVar[str] = "free for research, as the WMT organisers say; the news are others'"
    format: ClassVar[str] = "sentence = translation"

    @classmethod
    def read(cls, config: TranslationConfig, path: Path) -> Sequence[Document]:
        """See `TextBenchmark.read`."""
        asked = pairs(path, config.references)
        if config.examples is None:
            if len(asked) <= config.shots:
                raise DataError(
                    f"has {len(asked)} lines, of which {config.shots} are shown as examples: none "
                    "is left to translate; lower 'shots' or name a file of examples",
                    file=path,
                )
            shown, asked = asked[: config.shots], asked[config.shots :]
        else:
            place = absolute(config.examples, path.parent)
            shown = pairs(place, config.example_references)[: config.shots]
            if len(shown) < config.shots:
                raise DataError(f"has {len(shown)} lines, not {config.shots}", file=place)
        head = "".join(f"{source} = {target}\n" for source, target in shown)
        return [
            document(f"{head}{source} =", [target], source)
            for source, target in asked[: config.limit]
        ]

    @classmethod
    def decoding(cls, config: TranslationConfig) -> Decoding:
        """Greedy, to the end of the line."""
        return Decoding(max_tokens=config.max_tokens, stop=("\n",))

    @classmethod
    def form(cls, config: TranslationConfig) -> str:
        """With the number of pairs."""
        return f"{config.shots} lines {cls.format}"


def pairs(path: Path, references: str | None) -> list[tuple[str, str]]:
    """Sentences and their translations, line by line.

    Raises:
        SourceError: a file isn't there.
        DataError: a line is blank, or the files have different numbers of lines.
    """
    require(path, "the file")
    other = beside(path) if references is None else absolute(references, path.parent)
    sources, targets = lines(path), lines(require(other, "the file of translations"))
    if len(sources) != len(targets):
        raise DataError(
            f"has {len(targets):,} lines, and {path} has {len(sources):,}: the files must belong "
            "together line by line; one of them ends early",
            file=other,
        )
    return list(zip(sources, targets, strict=True))


def beside(path: Path) -> Path:
    """Where the translations stand, by the name of the file of sentences.

    >>> beside(Path("wmt/newstest2014.src")).name
    'newstest2014.ref'

    Raises:
        SourceError: the name doesn't say.
    """
    before, part, after = path.name.rpartition("src")
    if not part:
        raise SourceError(
            f"{path} has no 'src' in its name that 'ref' could stand for: name the file of its "
            "translations with 'references'"
        )
    return path.with_name(f"{before}ref{after}")
