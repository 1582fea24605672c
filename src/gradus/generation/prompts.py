"""Prompts that say what of them may be left out when they are too long for a model."""

from __future__ import annotations

from typing import Self


class Cut(str):
    """A prompt of a body and an ending; where it is too long, the body loses its end.

    As a string it is both. A plain string that is too long loses its beginning.

    >>> Cut("A long article.", " In short:").ending
    ' In short:'
    """

    body: str
    ending: str

    def __new__(cls, body: str, ending: str) -> Self:
        """The prompt of `body` and `ending`."""
        prompt = super().__new__(cls, body + ending)
        prompt.body, prompt.ending = body, ending
        return prompt

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """What `copy` and `pickle` make it again from."""
        return type(self), (self.body, self.ending)
