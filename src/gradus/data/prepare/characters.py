"""Preparations of characters: Unicode form, case, white space."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import ClassVar, Literal

from gradus.data.prepare.base import Preparation
from gradus.training.choice import ChoiceConfig

_SPACE = re.compile(r"\s+")


class UnicodeConfig(ChoiceConfig):
    """Which Unicode normalisation form.

    Attributes:
        form: NFC composes, NFD decomposes; NFKC and NFKD also replace compatibility characters
            (full-width letters, ligatures, circled digits).
    """

    name: Literal["unicode", "unicode.v1"] = "unicode"
    form: Literal["NFC", "NFD", "NFKC", "NFKD"] = "NFKC"


class UnicodeForm(Preparation):
    """Unicode normalisation (Unicode Standard Annex 15)."""

    Config: ClassVar[type[ChoiceConfig]] = UnicodeConfig
    summary: ClassVar[str] = "Unicode normalisation form, NFKC unless told otherwise"
    example: ClassVar[str] = "{name: unicode, form: NFKC}"

    @classmethod
    def build(cls, config: UnicodeConfig) -> Callable[[str], str]:
        """Normalise to the form."""
        return lambda text: unicodedata.normalize(config.form, text)


class LowerConfig(ChoiceConfig):
    """No options."""

    name: Literal["lower", "lower.v1"] = "lower"


class Lower(Preparation):
    """Lower case, as Unicode's default mapping has it."""

    Config: ClassVar[type[ChoiceConfig]] = LowerConfig
    summary: ClassVar[str] = "lower case"
    example: ClassVar[str] = "lower"

    @classmethod
    def build(cls, config: LowerConfig) -> Callable[[str], str]:
        """`str.lower`."""
        return str.lower


class SpacesConfig(ChoiceConfig):
    """No options."""

    name: Literal["spaces", "spaces.v1"] = "spaces"


class Spaces(Preparation):
    """Every run of white space becomes one space; none is left at either end."""

    Config: ClassVar[type[ChoiceConfig]] = SpacesConfig
    summary: ClassVar[str] = "runs of white space become one space"
    example: ClassVar[str] = "spaces"

    @classmethod
    def build(cls, config: SpacesConfig) -> Callable[[str], str]:
        """Collapse and strip."""
        return lambda text: _SPACE.sub(" ", text).strip()
