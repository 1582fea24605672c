"""Questions on a text that is given: CoQA's conversations and SQuAD's paragraphs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from gradus.benchmarks.replies.base import Reader, ReplyBenchmark, document, whole
from gradus.benchmarks.texts import Document, TextBenchmarkConfig
from gradus.errors import DataError
from gradus.generation.decoding import Decoding
from gradus.generation.prompts import Cut


class ReadingConfig(TextBenchmarkConfig):
    """One JSON file.

    Attributes:
        path: the file.
        limit: only the first so many questions; all when left out.
        max_tokens: tokens that an answer has at most.
    """

    max_tokens: Annotated[int, Field(ge=1)] = 32


class _Reading(ReplyBenchmark):
    """What both share: greedy answers after "A:", to the end of the line."""

    Config: ClassVar[type[TextBenchmarkConfig]] = ReadingConfig
    chance: ClassVar[float | None] = 0.0

    @classmethod
    @abstractmethod
    def questions(cls, path: Path) -> Iterator[Document]:
        """Every question of a file."""

    @classmethod
    def read(cls, config: ReadingConfig, path: Path) -> Sequence[Document]:
        """See `TextBenchmark.read`."""
        found = list(islice(cls.questions(path), config.limit))
        if not found:
            raise DataError("the file holds no question", file=path)
        return found

    @classmethod
    def decoding(cls, config: ReadingConfig) -> Decoding:
        """Greedy, to the end of the line."""
        return Decoding(max_tokens=config.max_tokens, stop=("\n",))


class Coqa(_Reading):
    """CoQA, answered in conversation (Radford et al. 2019, section 3.5)."""

    name: ClassVar[str] = "coqa.v1"
    summary: ClassVar[str] = "CoQA: questions of a conversation on a text, answered greedily"
    protocol: ClassVar[str] = (
        "The prompt is the story, the conversation so far with the first answers of people, and "
        "the question, each as 'Q: ...' and 'A: ...' on lines of their own, and ends with 'A:'; "
        "the model writes greedily to the end of the line. F1 of words, every person's answer "
        "left out once, as CoQA's own script takes it. A story that is too long for the model "
        "loses its end."
    )
    metrics: ClassVar[tuple[str, ...]] = ("coqa_f1", "token_f1", "exact_match")
    compared: ClassVar[tuple[str, ...]] = ("coqa_f1", "exact_match")
    origin: ClassVar[str] = "https://stanfordnlp.github.io/coqa/, coqa-dev-v1.0.json"
    licence: ClassVar[str] = "by source: CC BY-SA 4.0, MSR-LA, RACE's own, DeepMind's Apache-2.0"
    sha256: ClassVar[Mapping[str, str]] = {
        "dfa367a9733ce53222918d0231d9b3bedc2b8ee831a2845f62dfc70701f2540a": "coqa-dev-v1.0.json",
        "b0fdb2bc1bd38dd3ca2ce5fa2ac3e02c6288ac914f241ac409a655ffb6619fa6": "coqa-train-v1.0.json",
    }
    format: ClassVar[str] = "story, conversation as Q: and A:, A:"

    @classmethod
    def questions(cls, path: Path) -> Iterator[Document]:
        """Every turn of every conversation."""
        for talk in Reader(path, whole(path)).each("data"):
            yield from _turns(talk)


def _turns(talk: Reader) -> Iterator[Document]:
    story = talk.text("story").strip()
    questions, answers = talk.each("questions"), talk.each("answers")
    more = talk.inner("additional_answers") if "additional_answers" in talk.fields else None
    people = [answers] + ([more.each(name) for name in more.fields] if more else [])
    for others in people:
        if len(others) != len(questions):
            raise talk.fault(
                "answers" if others is answers else "additional_answers",
                f"there are {len(questions)} questions and {len(others)} answers",
            )
    before = ""
    for turn, question in enumerate(questions):
        asked = question.text("input_text").strip()
        right = [person[turn].text("input_text").strip() for person in people]
        yield document(Cut(story, f"\n\n{before}Q: {asked}\nA:"), right, f"{asked}\n{story}")
        before += f"Q: {asked}\nA: {right[0]}\n"


class Squad(_Reading):
    """SQuAD 1.1 and 2.0, zero-shot in the form of `coqa.v1`."""

    name: ClassVar[str] = "squad.v1"
    summary: ClassVar[str] = "SQuAD 1.1 or 2.0: questions on a paragraph, answered greedily"
    protocol: ClassVar[str] = (
        "The prompt is the paragraph and the question as 'Q: ...', and ends with 'A:' on a line "
        "of its own; the model writes greedily to the end of the line. A question of SQuAD 2.0 "
        "without an answer is right when nothing is written. A paragraph that is too long for "
        "the model loses its end."
    )
    metrics: ClassVar[tuple[str, ...]] = ("exact_match", "token_f1")
    compared: ClassVar[tuple[str, ...]] = ("token_f1", "exact_match")
    origin: ClassVar[str] = "https://rajpurkar.github.io/SQuAD-explorer/, dev-v1.1.json"
    licence: ClassVar[str] = "CC BY-SA 4.0"
    sha256: ClassVar[Mapping[str, str]] = {
        "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9": "dev-v1.1.json",
        "3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955": "train-v1.1.json",
        "80a5225e94905956a6446d296ca1093975c4d3b3260f1d6c8f68bc2ab77182d8": "dev-v2.0.json",
        "68dcfbb971bd3e96d5b46c7177b16c1a4e7d4bdef19fb204502738552dede002": "train-v2.0.json",
    }
    format: ClassVar[str] = "paragraph, Q: question, A:"

    @classmethod
    def questions(cls, path: Path) -> Iterator[Document]:
        """Every question of every paragraph."""
        for article in Reader(path, whole(path)).each("data"):
            for paragraph in article.each("paragraphs"):
                text = paragraph.text("context").strip()
                for question in paragraph.each("qas"):
                    asked = question.text("question").strip()
                    prompt = Cut(text, f"\n\nQ: {asked}\nA:")
                    yield document(prompt, _right(question), f"{asked}\n{text}")


def _right(question: Reader) -> list[str]:
    """The answers, each once; an empty one where there is none to be found."""
    found = [answer.text("text").strip() for answer in question.each("answers")]
    if found:
        return list(dict.fromkeys(found))
    if question.fields.get("is_impossible") is True:
        return [""]
    raise question.fault("answers", "is an empty list, and 'is_impossible' isn't true")
