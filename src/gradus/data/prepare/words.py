"""Preparations of words: templates and stop words."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import ClassVar, Literal

from pydantic import field_validator

from gradus.data.prepare.base import Preparation
from gradus.training.choice import ChoiceConfig

PLACE = "{text}"
_WORD = re.compile(r"\w+")


class TemplateConfig(ChoiceConfig):
    """What stands around a text.

    Attributes:
        text: the template; ``{text}`` is where the text goes, once.
    """

    name: Literal["template", "template.v1"] = "template"
    text: str

    @field_validator("text")
    @classmethod
    def _one_place(cls, text: str) -> str:
        if text.count(PLACE) != 1:
            raise ValueError(f"must hold {PLACE} once, holds it {text.count(PLACE)} times")
        return text


class Template(Preparation):
    """The text inside a fixed sentence, e.g. the ``query:`` that some encoders expect."""

    Config: ClassVar[type[ChoiceConfig]] = TemplateConfig
    summary: ClassVar[str] = "the text inside a fixed sentence"
    example: ClassVar[str] = '{name: template, text: "query: {text}"}'

    @classmethod
    def build(cls, config: TemplateConfig) -> Callable[[str], str]:
        """Put the text in its place."""
        before, _, after = config.text.partition(PLACE)
        return lambda text: f"{before}{text}{after}"


class StopWordsConfig(ChoiceConfig):
    """Which words are left out.

    Attributes:
        language: ``english`` stands for scikit-learn's list; None for `words` alone.
        words: further ones; case doesn't matter.
    """

    name: Literal["stop-words", "stop-words.v1"] = "stop-words"
    language: Literal["english"] | None = "english"
    words: tuple[str, ...] = ()


class StopWords(Preparation):
    """Leave frequent words out; meant for linear baselines, since language models need them.

    A text of stop words alone stays as it is: an empty one says nothing.
    """

    Config: ClassVar[type[ChoiceConfig]] = StopWordsConfig
    summary: ClassVar[str] = "leave frequent words out, for linear baselines"
    example: ClassVar[str] = "{name: stop-words, language: english, words: [please]}"

    @classmethod
    def build(cls, config: StopWordsConfig) -> Callable[[str], str]:
        """Leave out and close the gaps."""
        stopped = {word.lower() for word in config.words}
        if config.language == "english":
            stopped |= _english()

        def prepare(text: str) -> str:
            def keep(match: re.Match[str]) -> str:
                return "" if match[0].lower() in stopped else match[0]

            left = " ".join(_WORD.sub(keep, text).split())
            return left if _WORD.search(left) else text

        return prepare


@cache
def _english() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS)
