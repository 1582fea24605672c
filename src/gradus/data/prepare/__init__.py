"""Preparing texts: what stands under a step's ``prepare``, done in that order.

A checkpoint stores its preparations, and whatever uses it later, evaluation, prediction or further
training, does them again; nobody has to remember.

>>> from gradus.data.prepare import Prepare
>>> prepare = Prepare.read([{"name": "unicode", "form": "NFKC"}, "lower"])
>>> prepare("Ｇｒａｄｕｓ ①")
'gradus 1'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import TypeAdapter

from gradus import registry
from gradus.data.prepare.base import Preparation
from gradus.errors import DataError
from gradus.records import Pair
from gradus.training.choice import Choice, ChoiceConfig

if TYPE_CHECKING:
    from gradus.data.dataset import Split, TrainingData

KEY: Final = "prepare"
"""Where a checkpoint's manifest keeps its preparations, among its preprocessing."""

Preparations = tuple[Annotated[ChoiceConfig, Choice("preparations")], ...]
_READER: Final = TypeAdapter(Preparations)

__all__ = ["KEY", "Preparation", "Preparations", "Prepare"]


@dataclass(frozen=True)
class Prepare:
    """Preparations in their order; calling it prepares one text.

    Attributes:
        configs: of each preparation.
    """

    configs: Preparations = ()

    @classmethod
    def read(cls, raw: Sequence[Any] | None) -> Prepare:
        """From names, or mappings of name and options, as in a plan or a manifest.

        Raises:
            pydantic.ValidationError: an unknown name or option.
        """
        return cls(_READER.validate_python(tuple(raw or ())))

    @classmethod
    def of(cls, preprocessing: Mapping[str, Any]) -> Prepare:
        """What a checkpoint's preprocessing says; nothing where it says nothing."""
        return cls.read(preprocessing.get(KEY))

    def __bool__(self) -> bool:
        return bool(self.configs)

    def to_json(self) -> list[dict[str, Any]]:
        """What `read` makes an equal one from."""
        return [config.model_dump(mode="json") for config in self.configs]

    def preprocessing(self) -> dict[str, Any]:
        """What a checkpoint's preprocessing says of it; nothing where nothing is done."""
        return {KEY: self.to_json()} if self else {}

    @cached_property
    def _functions(self) -> tuple[Callable[[str], str], ...]:
        return tuple(registry.load("preparations", c.name).build(c) for c in self.configs)

    def __call__(self, text: str) -> str:
        """The prepared text; both texts of a pair are prepared, each by itself."""
        if isinstance(text, Pair):
            return Pair(self._one(text.first), self._one(text.second))
        return self._one(text)

    def _one(self, text: str) -> str:
        for function in self._functions:
            text = function(text)
        return text

    def texts(self, texts: Sequence[str]) -> Sequence[str]:
        """Prepared texts, in their order."""
        return [self(text) for text in texts] if self else texts

    def data(self, data: TrainingData) -> TrainingData:
        """Train and dev.select with prepared texts; ids stay those of the texts as they came.

        Raises:
            DataError: the data's labels are spans, whose characters would move.
        """
        if not self:
            return data
        if data.target == "spans":
            raise DataError(
                f"{data.name}: 'prepare' would move the characters that its spans count: leave it "
                "out, or prepare the files"
            )

        def split(part: Split) -> Split:
            return replace(part, texts=self.texts(part.texts))

        return replace(data, train=split(data.train), select=split(data.select))
