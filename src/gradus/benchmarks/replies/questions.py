"""Questions without a text to look the answer up in: Natural Questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from gradus.benchmarks.replies.base import Reader, ReplyBenchmark, document, records
from gradus.benchmarks.texts import Document, TextBenchmarkConfig
from gradus.errors import DataError
from gradus.generation.decoding import Decoding
from gradus.sources.base import absolute


class QuestionsConfig(TextBenchmarkConfig):
    """A file of JSON lines with ``question`` and ``answer``, as NQ-open has them.

    Attributes:
        path: the file.
        examples: a file of the same form whose first questions are shown with their answers; when
            left out, the first of the file itself, which are then not asked. A relative path is
            relative to the folder of `path`.
        shots: pairs shown.
        limit: only the first so many questions; all when left out.
        max_tokens: tokens that an answer has at most.
    """

    examples: str | None = None
    shots: Annotated[int, Field(ge=0)] = 5
    max_tokens: Annotated[int, Field(ge=1)] = 16


class Questions(ReplyBenchmark):
    """Natural Questions, answered after example pairs (Radford et al. 2019, section 3.8)."""

    name: ClassVar[str] = "natural-questions.v1"
    summary: ClassVar[str] = "Natural Questions: short answers after example pairs, no text given"
    protocol: ClassVar[str] = (
        "The prompt shows questions with their answers ('Q: ...', line end, 'A: ...') and ends "
        "with the question and 'A:'; the model writes greedily to the end of the line. A reply is "
        "right when it equals one of the short answers, case, punctuation and articles aside. A "
        "prompt that is too long for the model loses its first pairs."
    )
    metrics: ClassVar[tuple[str, ...]] = ("exact_match", "token_f1")
    compared: ClassVar[tuple[str, ...]] = ("exact_match", "token_f1")
    Config: ClassVar[type[TextBenchmarkConfig]] = QuestionsConfig
    origin: ClassVar[str] = (
        "Kwiatkowski et al. (2019), Natural Questions; short answers: Lee, Chang and Toutanova "
        "(2019); https://github.com/google-research-datasets/natural-questions, "
        "nq_open/NQ-open.dev.jsonl"
    )
    licence: ClassVar[str] = "CC BY-SA 3.0"
    chance: ClassVar[float | None] = 0.0
    format: ClassVar[str] = "Q: question, line end, A: answer"

    @classmethod
    def read(cls, config: QuestionsConfig, path: Path) -> Sequence[Document]:
        """See `TextBenchmark.read`."""
        if config.examples is None:
            asked = list(islice(answered(path), _both(config)))
            shown, asked = asked[: config.shots], asked[config.shots :]
            if not asked:
                raise DataError(
                    f"has {len(shown)} questions, all of which are shown as examples: lower "
                    "'shots' or name a file of examples",
                    file=path,
                )
        else:
            asked = list(islice(answered(path), config.limit))
            place = absolute(config.examples, path.parent)
            shown = list(islice(answered(place), config.shots))
            if len(shown) < config.shots:
                raise DataError(f"has {len(shown)} questions, not {config.shots}", file=place)
        head = "".join(f"Q: {question}\nA: {answers[0]}\n\n" for question, answers in shown)
        return [document(f"{head}Q: {question}\nA:", right, question) for question, right in asked]

    @classmethod
    def decoding(cls, config: QuestionsConfig) -> Decoding:
        """Greedy, to the end of the line."""
        return Decoding(max_tokens=config.max_tokens, stop=("\n",))

    @classmethod
    def form(cls, config: QuestionsConfig) -> str:
        """With the number of pairs."""
        return f"{cls.format}; {config.shots} shown"


def _both(config: QuestionsConfig) -> int | None:
    return None if config.limit is None else config.limit + config.shots


def answered(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Questions and their short answers.

    Raises:
        SourceError: there is no such file.
        DataError: a line isn't of the form; names it and the field.
    """
    for line, fields in records(path):
        record = Reader(path, fields, line=line)
        yield _question(record.text("question")), record.texts("answer")


def _question(text: str) -> str:
    """In one line; NQ's questions come without a question mark."""
    bare = " ".join(text.split())
    return bare if bare.endswith("?") else f"{bare}?"
