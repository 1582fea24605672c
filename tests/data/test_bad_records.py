"""Bad data of every kind: one clear error that names file, line and field, and says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradus.data.load import load_dataset
from gradus.errors import EXIT_USAGE, DataError


def lines(*records: Any) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


class Bad(NamedTuple):
    """A file's name and content, the entry around it, and the error."""

    name: str
    file: str
    content: bytes
    entry: dict[str, Any]
    message: str
    line: int | None = None
    field: str | None = None


ROW = {"text": "a", "label": "b"}
NUMBER: dict[str, Any] = {"target": "number"}
LABELS: dict[str, Any] = {"target": "labels"}
PAIR: dict[str, Any] = {"columns": {"text": ["a", "b"]}}

READERS = [
    Bad("empty file", "a.csv", b"", {}, "the file is empty"),
    Bad("blank lines", "a.jsonl", b"\n\n", {}, "the file has blank lines only"),
    Bad("header alone", "a.csv", b"text,label\n", {}, "holds no rows"),
    Bad("blank text file", "a.txt", b"\n \n", {"options": {"label": "file"}}, "blank lines only"),
    Bad("not UTF-8", "a.jsonl", b'{"text": "\xff"}\n', {}, "not valid utf-8: byte 0xff", 1),
    Bad("UTF-16 unsaid", "a.csv", "text,label\n".encode("utf-16"), {}, "not valid utf-8", 1),
    Bad(
        "wrong encoding said",
        "a.csv",
        b"text,label\ncaf\xe9,b\n",
        {"encoding": "ascii"},
        "not valid ascii: byte 0xe9 at offset 14",
        2,
    ),
    Bad("broken gzip", "a.csv.gz", b"\x1f\x8b\x08\x00broken", {}, "can't be decompressed"),
    Bad("broken zip", "a.csv.zip", b"PK\x03\x04", {}, "can't be decompressed"),
    Bad("broken zst", "a.csv.zst", b"(\xb5/\xfdxx", {}, "can't be decompressed"),
    Bad("no known suffix", "a.docx", b"x", {}, "the suffix '.docx' says no format: write 'format"),
    Bad("broken JSON", "a.jsonl", lines(ROW) + b'{"text": \n', {}, "not valid JSON: Expecting", 2),
    Bad("JSON no object", "a.jsonl", b'["a"]\n', {}, "must be a JSON object, is a list", 1),
    Bad(
        "text missing",
        "a.jsonl",
        lines(ROW, {"label": "b"}),
        {},
        "is missing; the record has 'label'",
        2,
        "text",
    ),
    Bad(
        "text a number",
        "a.jsonl",
        lines({"text": 1, "label": "b"}),
        {},
        "string, is the number 1",
        1,
        "text",
    ),
    Bad(
        "text null",
        "a.jsonl",
        lines({"text": None, "label": "b"}),
        {},
        "a string, is null",
        1,
        "text",
    ),
    Bad("text empty", "a.csv", b"text,label\na,b\n ,b\n", {}, "the text is empty: drop", 3, "text"),
    Bad(
        "half a surrogate",
        "a.jsonl",
        b'{"text": "\\ud800", "label": "b"}\n',
        {},
        "U+D800, half",
        1,
        "text",
    ),
    Bad("label missing", "a.jsonl", lines(ROW, {"text": "c"}), {}, "is missing", 2, "label"),
    Bad("label empty", "a.csv", b"text,label\na,\n", {}, "the label is empty", 2, "label"),
    Bad(
        "label an object",
        "a.jsonl",
        lines({"text": "a", "label": {}}),
        {},
        "is an object",
        1,
        "label",
    ),
    Bad("no label column", "a.csv", b"text,topic\na,b\n", {}, "no column called 'label'", 1),
    Bad(
        "column misspelt",
        "a.csv",
        b"text,topic\na,b\n",
        {"columns": {"label": "topik"}},
        "did you mean 'topic'?",
        1,
        "topik",
    ),
    Bad(
        "column twice",
        "a.csv",
        b"text,label,label\na,b,c\n",
        {},
        "two columns have this name",
        1,
        "label",
    ),
    Bad(
        "two label columns",
        "a.csv",
        b"text,label,class\na,b,c\n",
        {},
        "2 columns could hold the label",
        1,
    ),
    Bad(
        "columns too many",
        "a.csv",
        b"text,label\na,b,c\n",
        {},
        "3 columns, but the header has 2",
        2,
    ),
    Bad("quote unclosed", "a.csv", b'text,label\n"a,b\n', {}, "broken quotes", 2),
    Bad(
        "group missing",
        "a.jsonl",
        lines(ROW),
        {"columns": {"group": "who"}},
        "no such column for the group",
        1,
        "who",
    ),
    Bad(
        "group empty",
        "a.csv",
        b"text,label,who\na,b,\n",
        {"columns": {"group": "who"}},
        "the group is empty",
        2,
        "who",
    ),
    Bad(
        "kept column missing",
        "a.jsonl",
        lines(ROW),
        {"columns": {"keep": ["day"]}},
        "column to keep",
        1,
        "day",
    ),
    Bad(
        "filter's column missing",
        "a.jsonl",
        lines(ROW),
        {"filter": {"where": {"day": ["x"]}}},
        "for the filter",
        1,
        "day",
    ),
    Bad(
        "pair's half missing",
        "a.jsonl",
        lines({"a": "x", "label": "y"}),
        PAIR,
        "no such column for the text",
        1,
        "b",
    ),
    Bad("pair's half empty", "a.csv", b"a,b,label\nx,,y\n", PAIR, "the text is empty", 2, "b"),
    Bad(
        "labels a string",
        "a.csv",
        b"text,label\na,b;c\n",
        LABELS,
        "must be a list, is a string",
        2,
        "label",
    ),
    Bad(
        "labels an object",
        "a.jsonl",
        lines({"text": "a", "labels": {}}),
        LABELS,
        "must be a list, is an object",
        1,
        "labels",
    ),
    Bad(
        "one of the labels null",
        "a.jsonl",
        lines({"text": "a", "labels": [None]}),
        LABELS,
        "is null",
        1,
        "labels",
    ),
    Bad(
        "number a word",
        "a.csv",
        b"text,score\na,high\n",
        NUMBER,
        "must be a number, is 'high'",
        2,
        "score",
    ),
    Bad(
        "number empty", "a.csv", b"text,score\na,\n", NUMBER, "must be a number, is ''", 2, "score"
    ),
    Bad(
        "number infinite",
        "a.csv",
        b"text,score\na,inf\n",
        NUMBER,
        "must be a finite number, is inf",
        2,
        "score",
    ),
    Bad(
        "number NaN",
        "a.jsonl",
        b'{"text": "a", "score": NaN}\n',
        NUMBER,
        "finite number, is nan",
        1,
        "score",
    ),
    Bad(
        "number a truth",
        "a.jsonl",
        lines({"text": "a", "score": True}),
        NUMBER,
        "a number, is true",
        1,
        "score",
    ),
    Bad(
        "number with comma",
        "a.jsonl",
        lines({"text": "a", "score": "0,5"}),
        NUMBER,
        "is '0,5'",
        1,
        "score",
    ),
]


@pytest.mark.parametrize("bad", READERS, ids=lambda bad: bad.name)
def test_readers(tmp_path: Path, bad: Bad) -> None:
    check(tmp_path, bad)


def check(tmp_path: Path, bad: Bad) -> None:
    path = tmp_path / bad.file
    path.write_bytes(bad.content)
    entry = {"source": {"file": bad.file}, **bad.entry}
    with pytest.raises(DataError) as caught:
        load_dataset("d", entry, folder=tmp_path, seed=1)
    error = caught.value
    assert bad.message in str(error)
    assert (error.file, error.line, error.field) == (str(path), bad.line, bad.field)
    assert error.exit_code == EXIT_USAGE


def test_parquet_with_a_broken_page(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"text {i}" for i in range(20_000)], "label": ["a"] * 20_000})
    pq.write_table(table, path, row_group_size=5_000, compression="none")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4_000] = b"\xff" * 4_000
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.parquet(, line [\d,]+.*)?: can't be read as Parquet"):
        load_dataset("d", {"source": {"file": "a.parquet"}}, folder=tmp_path, seed=1)
