"""The values of a record's fields as texts, labels, numbers and spans; or what is wrong with them.

Every function takes where the value stands, for the message of its `DataError`.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gradus.data.tags import TagError, spans_of
from gradus.data.words import find_words
from gradus.errors import DataError
from gradus.records import Span

Words = tuple[tuple[int, int], ...]


class Where(NamedTuple):
    """A field of a record in a file."""

    file: Path
    line: int
    field: str | None

    def error(self, message: str) -> DataError:
        """The error for what stands here."""
        return DataError(message, file=self.file, line=self.line, field=self.field)


def json_kind(value: Any) -> str:
    """What JSON calls a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, int | float):
        return f"the number {value}"
    return f"a value of type {type(value).__name__}"


def as_text(value: Any, where: Where, *, allow_empty: bool = False) -> str:
    """A text, unless it is empty or can't be written as UTF-8."""
    if not isinstance(value, str):
        raise where.error(f"must be a string, is {json_kind(value)}")
    if not allow_empty and (not value or value.isspace()):
        raise where.error("the text is empty: drop the row")
    _check_unicode(value, where)
    return value


def _check_unicode(value: str, where: Where) -> None:
    """A lone surrogate (half of a pair, as JSON can escape it) is no character."""
    if value.isascii():
        return
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise where.error(
            f"holds U+{ord(value[error.start]):04X}, half of a surrogate pair, which is no "
            "character"
        ) from error


def as_name(value: Any, where: Where, what: str = "label") -> str:
    """A label's name; a number is named as JSON writes it."""
    if isinstance(value, str):
        if not value.strip():
            raise where.error(f"the {what} is empty")
        _check_unicode(value, where)
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value):
        return str(value)
    raise where.error(f"a {what} must be a string or a number, is {json_kind(value)}")


def as_cell(value: Any, where: Where) -> str:
    """Any value as text, for columns that are kept or filtered by; null is empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, default=str)
    _check_unicode(value, where)
    return str(value)


def as_names(value: Any, where: Where, separator: str | None) -> tuple[str, ...]:
    """The labels of a row, each once, sorted: a list, or a string that `separator` divides."""
    if isinstance(value, str):
        if separator is None:
            raise where.error(
                "several labels must be a list, is a string: if it holds them all, say what "
                "stands between with 'columns: {separator: \";\"}'"
            )
        value = [part.strip() for part in value.split(separator)] if value.strip() else []
    if not isinstance(value, list | tuple):
        raise where.error(f"several labels must be a list, is {json_kind(value)}")
    return tuple(sorted({as_name(item, where) for item in value}))


def as_number(value: Any, where: Where) -> float:
    """A finite number, or a string that writes one."""
    if isinstance(value, str) and "_" not in value:
        try:
            value = float(value)
        except ValueError:
            shown = value if len(value) <= 40 else value[:37] + "..."
            raise where.error(f"must be a number, is '{shown}'") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise where.error(f"must be a number, is {json_kind(value)}")
    if not math.isfinite(value):
        raise where.error(f"must be a finite number, is {value}")
    return float(value)


def as_spans(value: Any, text: str, where: Where) -> tuple[tuple[Span, ...], int]:
    """Spans from objects ``{start, end, label}`` or triples, in order of their start.

    White space at a span's ends is taken off; the second value counts such spans.

    Raises:
        DataError: a span is malformed, lies outside the text, covers white space alone or
            overlaps another.
    """
    if not isinstance(value, list | tuple):
        raise where.error(f"spans must be a list, is {json_kind(value)}")
    found, trimmed = [], 0
    for number, item in enumerate(value):
        start, end, label = _triple(item, number, where)
        if not 0 <= start < end <= len(text):
            raise where.error(
                f"span {number + 1} is [{start}, {end}), but start must be below end and both "
                f"within the text's {len(text)} characters"
            )
        inner = text[start:end]
        stripped = inner.strip()
        if not stripped:
            raise where.error(f"span {number + 1}, [{start}, {end}), covers white space alone")
        if stripped != inner:
            trimmed += 1
            start += len(inner) - len(inner.lstrip())
            end = start + len(stripped)
        found.append(Span(start, end, as_name(label, where, "span's label")))
    found.sort()
    for one, two in itertools.pairwise(found):
        if two.start < one.end:
            raise where.error(
                f"the spans [{one.start}, {one.end}) {one.label} and [{two.start}, {two.end}) "
                f"{two.label} overlap: a word can have one label only"
            )
    return tuple(found), trimmed


def _triple(item: Any, number: int, where: Where) -> tuple[int, int, Any]:
    if isinstance(item, Mapping):
        missing = [key for key in ("start", "end", "label") if key not in item]
        if missing:
            raise where.error(f"span {number + 1} has no '{missing[0]}'")
        start, end, label = item["start"], item["end"], item["label"]
    elif isinstance(item, list | tuple) and len(item) == 3:
        start, end, label = item
    else:
        raise where.error(
            f"span {number + 1} must be {{start, end, label}} or [start, end, label], is "
            f"{json_kind(item)}"
        )
    for name, place in (("start", start), ("end", end)):
        if not isinstance(place, int) or isinstance(place, bool):
            raise where.error(
                f"span {number + 1}: '{name}' must be a whole number of characters, is "
                f"{json_kind(place)}"
            )
    return start, end, label


def split_words(text: str, spans: Sequence[Span]) -> Words:
    """The words of a text by the rule of `gradus.data.words`, cut where a span begins or ends."""
    edges = sorted({place for span in spans for place in (span.start, span.end)})
    found = []
    for start, end in find_words(text):
        for edge in edges:
            if start < edge < end:
                found.append((start, edge))
                start = edge
        found.append((start, end))
    return tuple(found)


def join_words(words: Any, where: Where) -> tuple[str, Words]:
    """Words joined by single spaces, and where each of them is then."""
    if not isinstance(words, list | tuple):
        raise where.error(f"words must be a list, is {json_kind(words)}")
    places, start = [], 0
    for number, word in enumerate(words):
        if not isinstance(word, str) or not word.strip():
            kind = "empty" if isinstance(word, str) else json_kind(word)
            raise where.error(f"word {number + 1} must be a string with characters, is {kind}")
        places.append((start, start + len(word)))
        start += len(word) + 1
    return as_text(" ".join(words), where), tuple(places)


def tagged(tags: Any, places: Words, where: Where) -> tuple[Span, ...]:
    """Spans in characters from one tag a word; `places` says where the words are."""
    if not isinstance(tags, list | tuple) or not all(isinstance(tag, str) for tag in tags):
        raise where.error("tags must be a list of strings")
    if len(tags) != len(places):
        raise where.error(f"{len(tags)} tags for {len(places)} words: there must be one for each")
    try:
        found = spans_of(tags)
    except TagError as error:
        raise where.error(str(error)) from error
    return tuple(Span(places[a][0], places[b - 1][1], label) for a, b, label in found)
