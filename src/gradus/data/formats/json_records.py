"""One JSON document with many records."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, NoReturn

from pydantic import Field

from gradus.data.formats.base import Format, FormatConfig, RawRecord, Sheet, Tally
from gradus.data.formats.files import decode_whole
from gradus.data.values import json_kind
from gradus.errors import DataError

_SPACE: Final = re.compile(r"[ \t\r\n]*")


class JsonConfig(FormatConfig):
    """How records lie in the document.

    Attributes:
        each: a field that holds a list of objects, each of which becomes a record of its own with
            the fields of the record around it.
    """

    each: str | None = Field(default=None, min_length=1)


class Json(Format):
    """A JSON file that is a list of objects, or an object of objects whose keys are their ids.

    The key of a record is its field ``id`` unless it has one. The file is held whole, so that long
    data are better kept as JSON lines.
    """

    name: ClassVar[str] = "json"
    summary: ClassVar[str] = "one JSON document: a list of objects, or objects by id"
    example: ClassVar[str] = (
        "{source: {file: posts.json}, columns: {text: sentence, label: score}, target: number}"
    )
    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    Config: ClassVar[type[FormatConfig]] = JsonConfig
    options: JsonConfig

    def records(
        self, path: Path, *, encodings: Sequence[str] | None, tally: Tally
    ) -> Iterator[RawRecord]:
        """One record an object, with the line that it begins on."""
        sheet, none = Sheet(path), True
        for key, record, line in _Document(path, encodings or ("utf-8",), tally).members():
            if not isinstance(record, dict):
                raise DataError(
                    f"must be a JSON object, is {json_kind(record)}", file=path, line=line
                )
            none = False
            fields = record if key is None else {"id": key, **record}
            for one in self._each(fields, path, line):
                yield RawRecord(one, sheet, line)
        if none:
            raise DataError("the document has no records", file=path)

    def _each(
        self, fields: Mapping[str, Any], path: Path, line: int
    ) -> Iterator[Mapping[str, Any]]:
        name = self.options.each
        if name is None:
            yield fields
            return
        inner = fields.get(name)
        if not isinstance(inner, list) or not all(isinstance(item, dict) for item in inner):
            raise DataError(
                f"'options: {{each: {name}}}' needs a list of objects there, it is "
                f"{json_kind(inner) if name in fields else 'missing'}",
                file=path,
                line=line,
                field=name,
            )
        outer = {key: value for key, value in fields.items() if key != name}
        for item in inner:
            yield {**outer, **item}


class _Document:
    """Walks over the members of a document's outermost list or object, counting lines."""

    def __init__(self, path: Path, encodings: Sequence[str], tally: Tally) -> None:
        self.path = path
        self.text = decode_whole(path, tuple(encodings), tally)
        self.at = 0
        self._line, self._counted = 1, 0

    def members(self) -> Iterator[tuple[str | None, Any, int]]:
        """Key (None in a list), value and line of each member."""
        opening = self._peek()
        if not opening:
            raise DataError("the file is empty", file=self.path)
        if opening not in "[{":
            self._broken("must be a list of objects or an object of objects")
        closing = "]" if opening == "[" else "}"
        self.at += 1
        if self._peek() != closing:
            while True:
                key = None
                self._peek()
                line = self._here()
                if opening == "{":
                    key = self._value()
                    if not isinstance(key, str) or self._peek() != ":":
                        self._broken("not valid JSON: a key must be a string before a colon")
                    self.at += 1
                yield key, self._value(), line
                found = self._peek()
                if found == closing:
                    break
                if found != ",":
                    self._broken(f"not valid JSON: expecting ',' or '{closing}'")
                self.at += 1
        self.at += 1
        if self._peek():
            self._broken("not valid JSON: more after the end of the document")

    def _peek(self) -> str:
        """The next character that isn't white space; empty at the end."""
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.text[self.at : self.at + 1]

    def _value(self) -> Any:
        self._peek()
        try:
            value, self.at = _DECODER.raw_decode(self.text, self.at)
        except json.JSONDecodeError as error:
            self.at = error.pos
            self._broken(f"not valid JSON: {error.msg}")
        except (ValueError, RecursionError) as error:  # a number too long, nesting too deep
            self._broken(f"not readable JSON: {error}")
        return value

    def _here(self) -> int:
        """The line, from 1, of the place reached."""
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def _broken(self, message: str) -> NoReturn:
        column = self.at - self.text.rfind("\n", 0, self.at)
        raise DataError(f"{message} at column {column}", file=self.path, line=self._here())


_DECODER: Final = json.JSONDecoder()
