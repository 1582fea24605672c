"""Texts with spans of characters, as JSON lines."""

from __future__ import annotations

from typing import ClassVar

from gradus.data.formats.jsonl import Jsonl
from gradus.records import Target


class Spans(Jsonl):
    """One JSON object a line: a text, and spans of its characters that carry a label each.

    A span is ``{"start": 0, "end": 4, "label": "PER"}`` or ``[0, 4, "PER"]``; `end` is exclusive
    and both count characters (Unicode code points). Spans don't overlap. Where words are is found
    by the rule of `gradus.data.words`, and words are cut where a span begins or ends.
    """

    name: ClassVar[str] = "spans"
    summary: ClassVar[str] = "one JSON object a line, with a text and labelled character spans"
    example: ClassVar[str] = "{source: {file: entities.jsonl}, format: spans}"
    suffixes: ClassVar[tuple[str, ...]] = ()
    implies: ClassVar[Target | None] = "spans"
