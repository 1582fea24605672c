"""What goes out to be labelled, and what comes back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


def id_of(text: str) -> str:
    """What a text is called outside: 16 hex digits of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Task:
    """One text to label, and what the model says of it.

    Attributes:
        text: the text.
        suggested: the labels that the model says; none where it abstains.
        probability: of the most probable label.
        uncertainty: in [0, 1], by the measure that chose the text.
    """

    text: str
    suggested: tuple[str, ...]
    probability: float
    uncertainty: float

    @property
    def id(self) -> str:
        """What it is called outside."""
        return id_of(self.text)


@dataclass(frozen=True, slots=True)
class Tasks:
    """What is asked: which of these labels each of these texts has.

    Attributes:
        tasks: the most uncertain first.
        labels: all labels that can be given.
        several: whether a text may have any number of them.
        model: what the suggestions are ascribed to.
    """

    tasks: tuple[Task, ...]
    labels: tuple[str, ...]
    several: bool
    model: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person said of one text.

    Attributes:
        line: where it stands in the file, from 1.
        text: the text.
        labels: what was given; None where it was skipped.
        who: who said it; empty where the file doesn't tell.
    """

    line: int
    text: str
    labels: tuple[str, ...] | None
    who: str = ""
