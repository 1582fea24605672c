"""Readers: every text comes back as it was written, every broken thing is named."""

from __future__ import annotations

import csv
import io
import json
import tempfile
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus import registry
from gradus.data.fields import ColumnsConfig
from gradus.data.formats.base import Format, Row, Tally
from gradus.data.formats.files import find_broken
from gradus.data.rows import read_rows
from gradus.errors import DataError

CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXT = st.text(CHARACTERS, min_size=1).filter(lambda t: not t.isspace())
RECORDS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8)


def read(
    format_name: str,
    path: Path,
    encodings: Sequence[str] | None = None,
    tally: Tally | None = None,
    **columns: str,
) -> list[Row]:
    reader: Format = registry.load("formats", format_name)()
    chosen = ColumnsConfig(**columns)
    return list(read_rows(reader, [path], columns=chosen, encodings=encodings, tally=tally))


def pairs(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row.text, row.label) for row in rows]


@pytest.mark.parametrize("name", registry.names("formats"))
def test_every_format_declares_itself(name: str) -> None:
    kind = registry.load("formats", name)
    assert kind.name == registry.plain(name)
    assert kind.summary
    assert kind.example


@given(RECORDS, st.booleans(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_jsonl_gives_back_what_json_wrote(
    records: list[tuple[str, str]], ascii_only: bool, end: str, bom: bool
) -> None:
    lines = [json.dumps({"text": t, "label": v}, ensure_ascii=ascii_only) for t, v in records]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_bytes((end.join(lines) + end).encode("utf-8-sig" if bom else "utf-8"))
        rows = read("jsonl", path)
    assert pairs(rows) == records
    assert [row.line for row in rows] == list(range(1, len(records) + 1))


@given(RECORDS, st.sampled_from(["csv", "tsv"]), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_delimited_gives_back_what_csv_wrote(
    records: list[tuple[str, str]], kind: str, end: str, bom: bool
) -> None:
    out = io.StringIO(newline="")
    delimiter = "," if kind == "csv" else "\t"
    # Quoting everything: Python's writer leaves a lone carriage return bare where lines end in \n.
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["id", "label", "text"])
    writer.writerows([i, label, text] for i, (text, label) in enumerate(records))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(out.getvalue().encode("utf-8-sig" if bom else "utf-8"))
        rows = read(kind, path)
    assert pairs(rows) == records
    line = 2
    for row, (text, label) in zip(rows, records, strict=True):
        assert row.line == line
        line += 1 + text.count("\n") + label.count("\n")


@given(st.dictionaries(st.sampled_from("abc"), st.lists(TEXT, min_size=1, max_size=3), min_size=1))
def test_folders_give_back_files(labels: dict[str, list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for label, texts in labels.items():
            (Path(folder) / label / "deeper").mkdir(parents=True)
            for i, text in enumerate(texts):
                place = Path(folder) / label / ("deeper" if i % 2 else "")
                (place / f"{i}.txt").write_bytes(text.encode())
            (Path(folder) / label / ".hidden").write_bytes(b"\xff")
        rows = read("folders", Path(folder), encodings=["utf-8"])
        # A byte order mark at the head of a file isn't part of its text.
        expected = sorted((t.removeprefix("\ufeff"), v) for v, ts in labels.items() for t in ts)
        assert sorted(pairs(rows)) == expected


JSONL_FAULTS: list[tuple[bytes, str]] = [
    (b"", ": the file is empty"),
    (b"\xef\xbb\xbf", ": the file is empty"),
    (b"\n \n", ": the file has blank lines only"),
    (
        b'{"text": "a", "label": "b"}\n{"text": "a", "label" "b"}\n',
        ", line 2: not valid JSON: Expecting ':' delimiter at column 23",
    ),
    (
        b'{"text": "a", "label": "b"}\n{"text": "a',
        ", line 2: not valid JSON: Unterminated string starting at at column 10",
    ),
    (b"[1]\n", ", line 1: must be a JSON object, is a list: one object a line"),
    (b"3\n", ", line 1: must be a JSON object, is the number 3: one object a line"),
    (
        b'{"text": "a", "label": "b"}\n\n{"text": "a", "topic": "b"}\n',
        ", line 3, field 'label': is missing; the record has 'text', 'topic'",
    ),
    (
        b'{"text": "a", "label": "b"}\n{}\n',
        ", line 2, field 'text': is missing; the record has no fields",
    ),
    (
        b'{"text": " \\n", "label": "b"}\n',
        ", line 1, field 'text': the text is empty: drop the row",
    ),
    (b'{"text": 3, "label": "b"}\n', ", line 1, field 'text': must be a string, is the number 3"),
    (b'{"text": null, "label": "b"}\n', ", line 1, field 'text': must be a string, is null"),
    (
        b'{"text": "a", "label": true}\n',
        ", line 1, field 'label': a label must be a string or a number, is true",
    ),
    (
        b'{"text": "a", "label": ["b"]}\n',
        ", line 1, field 'label': a label must be a string or a number, is a list",
    ),
    (
        b'{"text": "a", "label": {"b": 1}}\n',
        ", line 1, field 'label': a label must be a string or a number, is an object",
    ),
    (
        b'{"text": "a", "label": null}\n',
        ", line 1, field 'label': a label must be a string or a number, is null",
    ),
    (
        b'{"text": "a", "label": NaN}\n',
        ", line 1, field 'label': a label must be a string or a number, is the number nan",
    ),
    (b'{"text": "a", "label": " "}\n', ", line 1, field 'label': the label is empty"),
    (
        b'{"text": "a\\ud83d", "label": "b"}\n',
        ", line 1, field 'text': holds U+D83D, half of a surrogate pair, which is no character",
    ),
    (
        b'{"text": "a", "label": "b"}\n{"text": "caf\xe9", "label": "b"}\n',
        ", line 2: not valid utf-8: byte 0xe9 at offset 41. If the file is in another encoding, "
        "say so, e.g. 'encoding: latin-1', or list several to be tried for each file, e.g. "
        "'encoding: [utf-8, cp1252]'",
    ),
    (
        b'\n{"sentence": "a", "label": "b"}\n',
        ", line 2: no column called 'text' for the text; there are 'sentence', 'label': name it "
        "with 'columns: {text: …}'",
    ),
    (
        b'{"text": "a", "label": "b", "class": "c"}\n',
        ", line 1: 2 columns could hold the label, 'label', 'class': name it with "
        "'columns: {label: …}'",
    ),
]


@pytest.mark.parametrize(("content", "message"), JSONL_FAULTS)
def test_broken_jsonl(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read("jsonl", path)
    assert str(caught.value) == f"{path}{message}"


@pytest.mark.parametrize("line", ["[" * 100_000, '{"text": "a", "label": ' + "1" * 5000 + "}"])
def test_json_beyond_the_parser(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line)
    with pytest.raises(DataError, match="line 1: not readable JSON"):
        read("jsonl", path)


CSV_FAULTS: list[tuple[bytes, str]] = [
    (b"", ": the file is empty"),
    (b"\n\n", ": the file has blank lines only"),
    (
        b"I am late,late\nHello,hi\n",
        ", line 1: no column called 'text' for the text; there are 'I am late', 'late': name it "
        "with 'columns: {text: …}'",
    ),
    (
        b"text,label\na,b\nfirst, second,b\n",
        ", line 3: 3 columns, but the header has 2: a text that holds a comma or a line end must "
        "be quoted",
    ),
    (
        b'text,label\n"a\nb",c\nd\n',
        ", line 4: 1 column, but the header has 2: a text that holds a comma or a line end must "
        "be quoted",
    ),
    (b"text,label\n ,b\n", ", line 2, field 'text': the text is empty: drop the row"),
    (b"text,label\na,\n", ", line 2, field 'label': the label is empty"),
    (b"text,text,label\na,b,c\n", ", line 1, field 'text': two columns have this name"),
    (
        b'text,label\na,b\n"never closed,c\nd,e\n',
        ", line 3: broken quotes (unexpected end of data): a quote within a quoted text is "
        "doubled, and every quoted text is closed",
    ),
    (
        b'text,label\n"a "b" c",d\n',
        ", line 2: broken quotes (',' expected after '\"'): a quote within a quoted text is "
        "doubled, and every quoted text is closed",
    ),
    (
        b"text,label\na,b\n\xa3 5,c\n",
        ", line 3: not valid utf-8: byte 0xa3 at offset 15. If the file is in another encoding, "
        "say so, e.g. 'encoding: latin-1', or list several to be tried for each file, e.g. "
        "'encoding: [utf-8, cp1252]'",
    ),
    (
        b"text,category,Class\na,b,c\n",
        ", line 1: 2 columns could hold the label, 'category', 'Class': name it with "
        "'columns: {label: …}'",
    ),
]


@pytest.mark.parametrize(("content", "message"), CSV_FAULTS)
def test_broken_csv(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read("csv", path)
    assert str(caught.value) == f"{path}{message}"


def test_named_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("utterance,label,class\nhello,x,y\n")
    assert pairs(read("csv", path, text="utterance", label="class")) == [("hello", "y")]
    with pytest.raises(DataError) as caught:
        read("csv", path, text="uterance", label="class")
    assert str(caught.value) == (
        f"{path}, line 1, field 'uterance': no such column for the text: did you mean 'utterance'?"
    )


def test_numbers_are_labels_by_their_json_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "label": 1}\n{"text": "b", "label": 0.5}\n')
    assert [row.label for row in read("jsonl", path)] == ["1", "0.5"]


def test_a_field_longer_than_pythons_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"text,label\n{'a' * 200_000},b\n")
    assert len(read("csv", path)[0].text) == 200_000


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252", "utf-8"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\r\ncafé £5,b\r\n".encode(encoding))
    tally = Tally()
    assert pairs(read("csv", path, encodings=[encoding], tally=tally)) == [("café £5", "b")]
    assert tally.encodings == {encoding: 1}
    assert tally.strays == []


def test_several_encodings_are_tried_for_each_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"text": "£5", "label": "b"}\n'.encode("latin-1"))
    tally = Tally()
    rows = read("jsonl", path, encodings=["utf-8", "latin-1"], tally=tally)
    assert pairs(rows) == [("£5", "b")]
    assert tally.strays == [str(path)]


@given(st.text(CHARACTERS, max_size=30), st.text(CHARACTERS, max_size=30), st.integers(1, 9))
def test_the_first_broken_byte_is_found(before: str, after: str, chunk: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        head = before.encode()
        path.write_bytes(head + b"\xff" + after.encode())
        found = find_broken(path, "utf-8", chunk_bytes=chunk)
        assert found == (len(head), before.count("\n") + 1, 0xFF)
        path.write_bytes(head)
        assert find_broken(path, "utf-8", chunk_bytes=chunk) is None


def make_folders(root: Path, count: int) -> None:
    for label in ("a", "b"):
        (root / label).mkdir()
        for i in range(count // 2):
            (root / label / f"{i:03}.txt").write_text(f"{label} text {i}")


def test_one_stray_file_in_a_hundred_is_read_and_named(tmp_path: Path) -> None:
    make_folders(tmp_path, 100)
    stray = tmp_path / "a" / "007.txt"
    stray.write_bytes(b"it costs \xa35")
    tally = Tally()
    rows = read("folders", tmp_path, tally=tally)
    assert "it costs £5" in [row.text for row in rows]
    assert tally.strays == [str(stray)]
    assert tally.encodings == {"utf-8": 99, "cp1252": 1}
    with pytest.raises(DataError, match="not valid utf-8: byte 0xa3 at offset 9"):
        read("folders", tmp_path, encodings=["utf-8"])


def test_more_stray_files_are_an_error(tmp_path: Path) -> None:
    make_folders(tmp_path, 100)
    for name in ("a/007.txt", "b/000.txt"):
        (tmp_path / name).write_bytes(b"\n\xa35")
    with pytest.raises(DataError) as caught:
        read("folders", tmp_path)
    start = f"{tmp_path}/a/007.txt, line 2: not valid utf-8: byte 0xa3 at offset 1."
    assert str(caught.value).startswith(start)
    assert len(read("folders", tmp_path, encodings=["utf-8", "cp1252"])) == 100


def test_binary_content_is_no_stray_text(tmp_path: Path) -> None:
    make_folders(tmp_path, 200)
    (tmp_path / "a" / "000.txt").write_bytes(b"\x89PNG\x00\x01\xff")
    with pytest.raises(DataError, match="byte 0x89 at offset 0"):
        read("folders", tmp_path)


def test_folders_without_labels_or_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n")
    with pytest.raises(DataError, match="holds no folders; the format folders needs one folder"):
        read("folders", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: the label's folder holds no files"):
        read("folders", tmp_path)
    with pytest.raises(DataError, match="needs a folder, this is a file"):
        read("folders", tmp_path / "a.csv")
    with pytest.raises(DataError, match="the fields of the format folders have fixed names"):
        read("folders", tmp_path, text="a")
    (tmp_path / "empty" / "a.txt").write_text(" \n")
    with pytest.raises(DataError, match=r"a.txt, line 1: the text is empty"):
        read("folders", tmp_path)


def test_memory_is_bounded_by_a_record(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    record = json.dumps({"text": "word " * 200, "label": "a"}) + "\n"
    path.write_text(record * 5_000)
    reader: Any = registry.load("formats", "jsonl")()
    tracemalloc.start()
    count = sum(1 for _ in read_rows(reader, [path]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5_000
    assert peak < path.stat().st_size / 10
