"""What a preparation is: a pure function from text to text, stored with the checkpoint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from gradus.training.choice import ChoiceConfig


class Preparation(ABC):
    """Base of all preparations.

    Class attributes:
        Config: its typed options; what a plan writes beside the name.
        summary: one line for `gradus ls`.
        example: as it stands in a plan's ``prepare``, in YAML.
    """

    Config: ClassVar[type[ChoiceConfig]]
    summary: ClassVar[str]
    example: ClassVar[str]

    @classmethod
    @abstractmethod
    def build(cls, config: Any) -> Callable[[str], str]:
        """The function that `config` stands for; the same text always gives the same text.

        Raises:
            MissingExtra: it needs an optional package.
        """
