"""The Children's Book Test: which of ten words was taken out of a sentence (Hill et al. 2016)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple

from gradus.benchmarks.suite.detokenisers import TREEBANK
from gradus.benchmarks.suite.files import SuiteConfig, check_split, lines_of, read_text
from gradus.benchmarks.texts import Document, TextBenchmark, TextBenchmarkConfig
from gradus.data.splits import content_id
from gradus.errors import DataError
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.metrics.options import Options
    from gradus.scoring.records import Engine, Progress

OFFICIAL_QUESTIONS: Final[Mapping[str, int]] = {"test": 2_500, "valid": 2_000}
SENTENCES, OPTIONS = 20, 10
# What the corpus has in the place of the word that is asked for.
BLANK = "XXXXX"
_NUMBERED: Final = re.compile(r"^(\d+) (.*)$")


class CbtConfig(SuiteConfig):
    """What the Children's Book Test takes.

    Attributes:
        split: which file it must be; left out, whichever of the published ones it is. The GPT-2
            paper's figures are of ``valid``.
        detokeniser: what is done to the sentences, which are cut into words.
    """

    split: Literal["test", "valid"] | None = None
    detokeniser: Literal["invertible", "none"] = "invertible"


class Question(NamedTuple):
    """One question as it is published.

    Attributes:
        sentences: the twenty before it.
        query: the sentence with `BLANK` in place of a word.
        answer: the word.
        options: ten words, the answer among them.
        line: where the query stands, from 1.
    """

    sentences: tuple[str, ...]
    query: str
    answer: str
    options: tuple[str, ...]
    line: int


class Cbt(TextBenchmark):
    """Base of the four tests, which differ in the class of the words that are taken out.

    Class attributes, beside those of `TextBenchmark`:
        letters: the class, as the file's name has it: CN, NE, V or P.
    """

    protocol: ClassVar[str] = (
        "The twenty sentences and the query, without their tokenisation as far as that can be "
        "undone, are one text. Each of the ten words is put into the query; its log-likelihood "
        "and that of the rest of the sentence after it are summed, given all that comes before. "
        "The greatest sum is the choice."
    )
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "accuracy_norm")
    compared: ClassVar[tuple[str, ...]] = ("accuracy",)
    Config: ClassVar[type[TextBenchmarkConfig]] = CbtConfig
    kind: ClassVar[Target] = "option"
    origin: ClassVar[str] = (
        "Hill et al. 2016, The Goldilocks Principle; CBTest/data/cbtest_*_test_2500ex.txt of "
        "http://www.thespermwhale.com/jaseweston/babi/CBTest.tgz"
    )
    licence: ClassVar[str] = "GNU FDL 1.3 (books of Project Gutenberg)"
    chance: ClassVar[float | None] = 1 / OPTIONS
    letters: ClassVar[str]

    @classmethod
    def read(cls, config: Any, path: Path) -> Sequence[Document]:
        """See `TextBenchmark.read`; `fields` are the context, the continuations and the answer."""
        found = questions(lines_of(read_text(path), path), path)
        cls._check_name(path)
        what = f"the Children's Book Test, {cls.letters}"
        check_split(
            len(found),
            OFFICIAL_QUESTIONS,
            config.split,
            "questions",
            what,
            whole=config.whole,
            path=path,
        )
        undo = config.detokeniser == "invertible"
        return [_document(question, undo=undo) for question in found[: config.limit]]

    @classmethod
    def _check_name(cls, path: Path) -> None:
        """The four files look alike; where the published name is kept, it tells them apart."""
        named = re.match(r"^cbtest_(CN|NE|V|P)_", path.name)
        if named and named[1] != cls.letters:
            raise DataError(
                f"this is the {named[1]} test by its name, and {cls.letters} was asked for: "
                f"give it to cbt-{named[1].lower()}",
                file=path,
            )

    @classmethod
    def ask(
        cls,
        config: Any,
        documents: Sequence[Document],
        engine: Engine,
        *,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> Options:
        """See `TextBenchmark.ask`."""
        from gradus.metrics.options import Options

        options = [document.fields["options"] for document in documents]
        scored = engine.choose_all(
            [document.fields["context"] for document in documents],
            options,
            journal=journal,
            progress=progress,
        )
        return Options.of(
            gold=[document.fields["gold"] for document in documents],
            nats=[[one.nats for one in row] for row in scored],
            lengths=[[len(option) for option in row] for row in options],
            ids=tuple(document.id for document in documents),
        )

    @classmethod
    def terms(cls, config: Any, engine: Engine) -> dict[str, str]:
        """See `TextBenchmark.terms`."""
        undone = config.detokeniser == "invertible"
        return {
            "format": "21 sentences with spaces between; option and rest of the sentence scored",
            "detokeniser": "invertible (treebank)" if undone else "none",
        }


class CbtCn(Cbt):
    """Common nouns."""

    name: ClassVar[str] = "cbt-cn.v1"
    summary: ClassVar[str] = "Children's Book Test: which common noun was taken out"
    letters: ClassVar[str] = "CN"
    published: ClassVar[Mapping[str, str]] = {"accuracy": "cbt-cn"}


class CbtNe(Cbt):
    """Named entities."""

    name: ClassVar[str] = "cbt-ne.v1"
    summary: ClassVar[str] = "Children's Book Test: which name was taken out"
    letters: ClassVar[str] = "NE"
    published: ClassVar[Mapping[str, str]] = {"accuracy": "cbt-ne"}


class CbtV(Cbt):
    """Verbs."""

    name: ClassVar[str] = "cbt-v.v1"
    summary: ClassVar[str] = "Children's Book Test: which verb was taken out"
    letters: ClassVar[str] = "V"


class CbtP(Cbt):
    """Prepositions."""

    name: ClassVar[str] = "cbt-p.v1"
    summary: ClassVar[str] = "Children's Book Test: which preposition was taken out"
    letters: ClassVar[str] = "P"


def questions(lines: Sequence[str], path: Path) -> list[Question]:
    """The questions of a file: lines 1 to 20, line 21 with the query, and an empty line each.

    Raises:
        DataError: a line out of turn, a query without blank or with other than ten options, or an
            end in the middle of a question.
    """
    found: list[Question] = []
    sentences: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            if sentences:
                raise DataError(
                    f"an empty line after {len(sentences)} of {SENTENCES + 1} lines of a question",
                    file=path,
                    line=number,
                )
            continue
        numbered = _NUMBERED.match(line)
        if numbered is None or int(numbered[1]) != len(sentences) + 1:
            raise DataError(
                f"a line beginning with '{len(sentences) + 1} ' is due here",
                file=path,
                line=number,
            )
        if len(sentences) < SENTENCES:
            sentences.append(numbered[2].strip())
            continue
        found.append(_question(tuple(sentences), numbered[2], number, path))
        sentences = []
    if sentences:
        raise DataError(
            f"the file ends after {len(sentences)} of {SENTENCES + 1} lines of a question: it is "
            "truncated",
            file=path,
            line=len(lines),
        )
    return found


def _question(sentences: tuple[str, ...], line: str, number: int, path: Path) -> Question:
    fields = line.split("\t")
    if len(fields) != 4:
        raise DataError(
            f"line 21 has query, answer, nothing and options between tabs, this one "
            f"{len(fields)} field{'s' if len(fields) != 1 else ''}",
            file=path,
            line=number,
        )
    query, answer, _, listed = (field.strip() for field in fields)
    options = tuple(listed.split("|"))
    if query.count(BLANK) != 1:
        raise DataError(f"the query has to hold {BLANK} once", file=path, line=number)
    if len(options) != OPTIONS:
        raise DataError(
            f"{len(options)} options, and a question has {OPTIONS}", file=path, line=number
        )
    if answer not in options:
        raise DataError(f"the answer '{answer}' isn't among the options", file=path, line=number)
    return Question(sentences, query, answer, options, number)


def _document(question: Question, *, undo: bool) -> Document:
    plain = TREEBANK.detokenise if undo else str
    before = " ".join(plain(sentence) for sentence in question.sentences)
    start = _before_blank(plain(question.query))
    options = []
    for option in question.options:
        filled = plain(_filled(question.query, option))
        # Where a word goes together with what stands before it, the seam isn't where it was.
        seam = len(start) if filled.startswith(start) else 0
        options.append((filled[:seam], filled[seam:]))
    if any(shared != start for shared, _ in options):
        start, options = "", [("", shared + rest) for shared, rest in options]
    context = f"{before} {start}" if start else before
    fields = {
        "context": context,
        "options": tuple(rest if start else f" {rest}" for _, rest in options),
        "gold": question.options.index(question.answer),
    }
    text = f"{before} {plain(question.query)} ({', '.join(question.options)})"
    return Document(_identity(question), text, fields)


def _before_blank(query: str) -> str:
    return query[: query.index(BLANK)].rstrip(" ")


def _filled(query: str, option: str) -> str:
    return query.replace(BLANK, option)


def _identity(question: Question) -> str:
    return content_id("\n".join((*question.sentences, question.query, *question.options)))
