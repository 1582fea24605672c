"""Prompts: from files, and such that say what of them may be left out where they are too long."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

from gradus.errors import DataError

FIELD: Final = "prompt"
"""What a prompt is called in a record."""


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


def read_prompts(path: Path) -> list[str]:
    """The prompts of a file: of ``.jsonl`` the field ``prompt`` of each line, else each line.

    Blank lines are passed over. A prompt of several lines needs JSON.

    Raises:
        SourceError: there is no such file.
        DataError: the file isn't UTF-8 or has no prompt; a line isn't a JSON object with a prompt.
    """
    from gradus.data.formats.base import Tally
    from gradus.data.formats.files import decode_lines
    from gradus.data.formats.jsonl import parse_object
    from gradus.data.values import json_kind
    from gradus.sources.base import require

    require(path, "the file of prompts")
    is_json = path.suffix in (".jsonl", ".json")
    found: list[str] = []
    for number, line in enumerate(decode_lines(path, ("utf-8",), Tally()), start=1):
        if line.isspace() or not line:
            continue
        if not is_json:
            found.append(line.rstrip("\r\n"))
            continue
        record = parse_object(line, path, number)
        if FIELD not in record:
            raise DataError(
                f"is missing; there are {', '.join(record) or 'none'}",
                file=path,
                line=number,
                field=FIELD,
            )
        if not isinstance(record[FIELD], str):
            raise DataError(
                f"must be a string, is {json_kind(record[FIELD])}",
                file=path,
                line=number,
                field=FIELD,
            )
        found.append(record[FIELD])
    if not found:
        raise DataError("the file has no prompt: write one a line", file=path)
    return found
