from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.errors import DataError, UsageError
from gradus.predict import entries
from gradus.predict.readers import BadLine, TextItem, read_texts


def read(content: str | bytes, **options):
    raw = content.encode() if isinstance(content, str) else content
    return list(read_texts(io.BytesIO(raw), **options))


# Texts that a tokenizer takes: not blank, no half surrogate pair.
TEXT = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)
ONE_LINE = TEXT.filter(lambda t: "\n" not in t and not t.endswith("\r") and t[0] != "\ufeff")


@given(st.lists(TEXT), st.booleans())
def test_jsonl_round_trip(texts: list[str], ascii_only: bool) -> None:
    content = "".join(json.dumps({"text": t}, ensure_ascii=ascii_only) + "\n" for t in texts)
    assert read(content, format="jsonl") == [TextItem(i, t) for i, t in enumerate(texts, 1)]


@given(st.lists(ONE_LINE), st.sampled_from(["\n", "\r\n"]))
def test_lines_round_trip(texts: list[str], end: str) -> None:
    found = read(end.join(texts), format="lines")
    assert found == [TextItem(i, t) for i, t in enumerate(texts, 1)]


@given(
    st.lists(TEXT.filter(lambda t: "\r" not in t)), st.sampled_from([("csv", ","), ("tsv", "\t")])
)
def test_delimited_round_trip(texts: list[str], kind: tuple[str, str]) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=kind[1], lineterminator="\n")
    writer.writerows([["id", "text"], *((f"n{i}", t) for i, t in enumerate(texts))])
    found = read(out.getvalue(), format=kind[0])
    assert [(e.text, e.id) for e in found] == [(t, f"n{i}") for i, t in enumerate(texts)]
    begins = 2
    for entry, text in zip(found, texts, strict=True):
        assert entry.line == begins
        begins += 1 + text.count("\n")


@given(st.binary(max_size=300), st.sampled_from(["jsonl", "lines"]))
def test_any_bytes_give_one_entry_a_line_at_most(content: bytes, format: str) -> None:
    found = read(content, format=format)
    lines = [entry.line for entry in found]
    assert lines == sorted(set(lines))
    assert all(1 <= line <= content.count(b"\n") + 1 for line in lines)


@given(st.binary(max_size=300))
def test_any_bytes_after_a_header(content: bytes) -> None:
    lines = [entry.line for entry in read(b"text\n" + content, format="csv")]
    assert lines == sorted(set(lines))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"text": "cut', "not valid JSON"),
        ('{"body": "x"}', "field 'text' is missing; the record has body"),
        ('{"text": ""}', "field 'text' is empty"),
        ('{"text": " \\n\\t"}', "field 'text' is empty"),
        ('{"text": 3}', "must be a string, is int"),
        ('{"text": null}', "must be a string, is NoneType"),
        ('{"text": "\\ud800"}', "half a surrogate pair at character 1"),
        ('["text"]', "not a JSON object"),
        ('{"text": "x", "id": NaN}', "NaN"),
        ("[" * 100_000, "not readable JSON"),
    ],
)
def test_bad_json_line_stops_nothing(line: str, says: str) -> None:
    first, bad, last = read(
        '{"text": "a"}\n' + line + '\n\n{"text": "b", "id": 7}\n', format="jsonl"
    )
    assert (first, last) == (TextItem(1, "a"), TextItem(4, "b", 7))
    assert isinstance(bad, BadLine)
    assert bad.line == 2
    assert says in bad.error


def test_bad_line_keeps_its_id() -> None:
    assert read('{"id": "x7", "text": ""}', format="jsonl")[0].id == "x7"
    assert read("id,text\nx7,\n", format="csv")[0].id == "x7"


@pytest.mark.parametrize("format", ["jsonl", "csv", "lines"])
def test_invalid_utf8_is_one_bad_record(format: str) -> None:
    good = {"jsonl": b'{"text": "ok"}', "csv": b"ok", "lines": b"ok"}[format]
    head = b"text\n" if format == "csv" else b""
    found = read(head + good + b"\ncaf\xe9\n" + good, format=format)
    assert [type(e) for e in found] == [TextItem, BadLine, TextItem]
    assert "not valid UTF-8 at byte 4" in found[1].error


def test_csv_faults() -> None:
    found = read('text,n\na,1\nb,2,3\n"c" d,4\n\ne,5\n"open, 6\n', format="csv")
    assert [(e.line, isinstance(e, TextItem)) for e in found] == [
        (2, True), (3, False), (4, False), (6, True), (7, False),
    ]  # fmt: skip
    assert "3 columns, the header has 2" in found[1].error
    assert "broken quotes" in found[2].error
    with pytest.raises(DataError, match=r"field 'text'.*the header has a, b"):
        read("a,b\n1,2\n", format="csv")
    with pytest.raises(DataError, match="same name"):
        read("text,text\n1,2\n", format="csv")


def test_other_text_field() -> None:
    assert read("a,b\n1,2\n", format="csv", text_field="b") == [TextItem(2, "2")]
    assert read('{"b": "2"}', format="jsonl", text_field="b") == [TextItem(1, "2")]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("x.csv", "text\nhello\n", [TextItem(2, "hello")]),
        ("x.tsv", "text\tid\nhello\t1\n", [TextItem(2, "hello", "1")]),
        ("x.txt", '{"text": "a"}', [TextItem(1, '{"text": "a"}')]),
        ("-", '{"text": "a"}\nb', None),
        ("-", "plain\n", [TextItem(1, "plain")]),
        ("-", "", []),
        ("x.ndjson", '\ufeff{"text": "a"}', [TextItem(1, "a")]),
    ],
)
def test_auto(name: str, content: str, expected: list[TextItem] | None) -> None:
    found = read(content, name=name)
    if expected is None:
        assert [type(e) for e in found] == [TextItem, BadLine]
    else:
        assert found == expected


def test_unknown_format() -> None:
    with pytest.raises(UsageError, match="did you mean 'jsonl'"):
        read("x", format="json")


def test_endless_line_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "LONGEST_LINE", 100)
    found = read(b"a\n" + b"x" * 1000 + b"\nb\n" + b"y" * 100 + b"\n" + b"z" * 350, format="lines")
    assert [(e.line, type(e)) for e in found] == [
        (1, TextItem), (2, BadLine), (3, TextItem), (4, TextItem), (5, BadLine),
    ]  # fmt: skip


def test_a_compressed_file_is_named_instead_of_read_as_bad_lines() -> None:
    import bz2
    import gzip
    import lzma

    for pack, kind in ((gzip.compress, "gzip"), (bz2.compress, "bzip2"), (lzma.compress, "xz")):
        with pytest.raises(UsageError, match=rf"a\.csv\.gz is a {kind} file: unpack it first"):
            read(pack(b"text\nhello\n"), name="a.csv.gz")
    assert read(b"PK is a place\n", name="a") == [TextItem(1, "PK is a place")]
