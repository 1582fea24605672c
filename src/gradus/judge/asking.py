"""What a judge answers, and who it is to those that only ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from gradus.judge.questions import Question
from gradus.scoring.records import Progress


class Answer(NamedTuple):
    """What a judge said to one question.

    Attributes:
        value: 1 to 5; for a pair from 1 (the first is better) to 2 (the second is), or 0 for
            neither. None where the reply couldn't be read.
        certain: of a model whose probabilities are read, the share of all probability that fell on
            the answers there are; None where it replies in words.
        said: the reply's words, shortened; empty where probabilities are read.
    """

    value: float | None
    certain: float | None = None
    said: str = ""


class Judge(Protocol):
    """A language model that judges."""

    @property
    def about(self) -> Mapping[str, str]:
        """Who it is and how it is asked, for the report."""
        ...

    @property
    def shortened(self) -> int:
        """How many questions so far were about a text that was too long, and lost its end."""
        ...

    def answers(
        self, questions: Sequence[Question], *, journal: Path, progress: Progress | None = None
    ) -> list[Answer]:
        """The answers in the questions' order; what stands in the journal isn't asked again.

        `progress` is called with the number of questions answered.
        """
        ...
