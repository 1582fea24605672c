"""Preparation `segment`: words of a language that writes none apart, with spaces between."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ClassVar, Literal

from gradus.data.prepare.base import Preparation
from gradus.errors import MissingExtra
from gradus.training.choice import ChoiceConfig


class SegmentConfig(ChoiceConfig):
    """How words are found.

    Attributes:
        by: ``jieba`` (dictionary and hidden Markov model, for Chinese).
    """

    name: Literal["segment", "segment.v1"] = "segment"
    by: Literal["jieba"] = "jieba"


class Segment(Preparation):
    """Chinese words with spaces between, found by jieba; other scripts stay as they are."""

    Config: ClassVar[type[ChoiceConfig]] = SegmentConfig
    summary: ClassVar[str] = "spaces between Chinese words, found by jieba"
    example: ClassVar[str] = "{name: segment, by: jieba}"

    @classmethod
    def build(cls, config: SegmentConfig) -> Callable[[str], str]:
        """Cut and join.

        Raises:
            MissingExtra: jieba isn't installed.
        """
        try:
            import jieba
        except ImportError as error:
            raise MissingExtra("jieba", "chinese", "prepare: segment") from error
        jieba.setLogLevel(logging.WARNING)
        # A cutter of our own: words that others add to the shared one mustn't change ours.
        cutter = jieba.Tokenizer()
        return lambda text: " ".join(" ".join(cutter.cut(text)).split())
