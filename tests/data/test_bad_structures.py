"""Bad spans, tags, JSON documents and options: one clear error that names file, line and field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .test_bad_records import Bad, check, lines


def span(spans: Any, text: str = "Ann met Bob") -> bytes:
    good = {"text": "Eve left", "spans": [[0, 3, "PER"]]}
    return lines(good, {"text": text, "spans": spans})


SPANS: dict[str, Any] = {"format": "spans"}
TAGGED: dict[str, Any] = {"target": "spans", "columns": {"text": "words", "label": "tags"}}
STRUCTURES = [
    Bad(
        "spans a string",
        "a.jsonl",
        span("PER"),
        SPANS,
        "spans must be a list, is a string",
        2,
        "spans",
    ),
    Bad(
        "span a number",
        "a.jsonl",
        span([3]),
        SPANS,
        "span 1 must be {start, end, label} or",
        2,
        "spans",
    ),
    Bad(
        "span without end",
        "a.jsonl",
        span([{"start": 0, "label": "A"}]),
        SPANS,
        "span 1 has no 'end'",
        2,
        "spans",
    ),
    Bad(
        "span's start a string",
        "a.jsonl",
        span([["0", 3, "A"]]),
        SPANS,
        "'start' must be a whole number",
        2,
        "spans",
    ),
    Bad(
        "span too far",
        "a.jsonl",
        span([[8, 12, "A"]]),
        SPANS,
        "within the text's 11 characters",
        2,
        "spans",
    ),
    Bad(
        "span before the text",
        "a.jsonl",
        span([[-1, 3, "A"]]),
        SPANS,
        "span 1 is [-1, 3)",
        2,
        "spans",
    ),
    Bad(
        "span backwards",
        "a.jsonl",
        span([[3, 0, "A"]]),
        SPANS,
        "start must be below end",
        2,
        "spans",
    ),
    Bad(
        "span of nothing",
        "a.jsonl",
        span([[3, 3, "A"]]),
        SPANS,
        "start must be below end",
        2,
        "spans",
    ),
    Bad(
        "span of white space",
        "a.jsonl",
        span([[3, 4, "A"]]),
        SPANS,
        "covers white space alone",
        2,
        "spans",
    ),
    Bad(
        "spans overlap",
        "a.jsonl",
        span([[0, 5, "A"], [4, 7, "B"]]),
        SPANS,
        "[0, 5) A and [4, 7) B overlap",
        2,
        "spans",
    ),
    Bad(
        "span's label empty",
        "a.jsonl",
        span([[0, 3, " "]]),
        SPANS,
        "the span's label is empty",
        2,
        "spans",
    ),
    Bad(
        "words without tags",
        "a.jsonl",
        lines({"words": ["a", "b"], "tags": ["O"]}),
        TAGGED,
        "1 tags for 2 words",
        1,
        "tags",
    ),
    Bad(
        "a word empty",
        "a.jsonl",
        lines({"words": ["a", ""], "tags": ["O", "O"]}),
        TAGGED,
        "word 2 must be",
        1,
        "words",
    ),
    Bad(
        "a tag unknown",
        "a.jsonl",
        lines({"words": ["a"], "tags": ["PER"]}),
        TAGGED,
        "'PER' is no tag",
        1,
        "tags",
    ),
    Bad("CoNLL tag unknown", "a.conll", b"a O\nb X-PER\n", {}, "'X-PER' is no tag", 2, "tag"),
    Bad(
        "CoNLL columns differ",
        "a.conll",
        b"a NN O\nb O\n",
        {},
        "2 columns, but the lines before have 3",
        2,
    ),
    Bad(
        "CoNLL column absent",
        "a.conll",
        b"a O\n",
        {"options": {"tag": 3}},
        "there is no column 3",
        1,
        "tag",
    ),
    Bad("CoNLL word empty", "a.conll", b"a\tO\n\tO\n", {}, "the word is empty", 2, "word"),
    Bad("CoNLL without a sentence", "a.conll", b"-DOCSTART- O\n\n", {}, "the file has no sentence"),
    Bad("CoNLL schemes mixed", "a.conll", b"a I-A\nb O\na B-A\nb O\n", {}, "neither IOB1 nor IOB2"),
    Bad(
        "JSON document broken",
        "a.json",
        b'[{"text": "a", "label": "b"},\n {"text" "b"}]',
        {},
        "not valid JSON: Expecting ':' delimiter at column 10",
        2,
    ),
    Bad(
        "JSON document a string", "a.json", b'"a"', {}, "must be a list of objects or an object", 1
    ),
    Bad(
        "JSON document of numbers",
        "a.json",
        b"[\n1]",
        {},
        "must be a JSON object, is the number 1",
        2,
    ),
    Bad(
        "JSON document unclosed",
        "a.json",
        b'[{"text": "a", "label": "b"}\n',
        {},
        "expecting ',' or ']'",
        2,
    ),
    Bad(
        "JSON document goes on",
        "a.json",
        b'[{"text": "a", "label": "b"}] x',
        {},
        "more after the end",
        1,
    ),
    Bad("JSON document without records", "a.json", b"[]", {}, "the document has no records"),
    Bad(
        "JSON inner list missing",
        "a.json",
        lines([{"text": "a"}]),
        {"options": {"each": "info"}},
        "it is missing",
        1,
        "info",
    ),
    Bad("no Parquet", "a.parquet", b"PAR1 but no more", {}, "can't be read as Parquet"),
    Bad(
        "no saved data set", "a.csv", b"x", {"format": "datasets"}, "needs a folder, this is a file"
    ),
    Bad("text without labels", "a.txt", b"a\nb\n", {}, "the texts have no labels"),
    Bad(
        "fixed fields renamed",
        "a.conll",
        b"a O\n",
        {"columns": {"text": "word"}},
        "have fixed names",
    ),
]


@pytest.mark.parametrize("bad", STRUCTURES, ids=lambda bad: bad.name)
def test_structures(tmp_path: Path, bad: Bad) -> None:
    check(tmp_path, bad)
