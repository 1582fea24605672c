"""A corpus in any format is the same stream of words; a broken one is refused by file and line."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
from itertools import product
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradus.data.overlap import corpus as streaming
from gradus.data.overlap.corpus import Corpus
from gradus.data.overlap.ngrams import batches, words
from gradus.errors import DataError, SourceError

TEXTS = [f"Text {i}: the river rose over both banks, “before” night – 北京 {i}." for i in range(40)]


def content(kind: str) -> bytes:
    if kind == "txt":
        return "".join(f"{text}\n" for text in TEXTS).encode()
    if kind == "jsonl":
        return "\n".join(json.dumps({"text": text}) for text in TEXTS).encode()
    if kind == "csv":
        sheet = io.StringIO()
        writer = csv.writer(sheet)
        writer.writerows([["text"], *([text] for text in TEXTS)])
        return sheet.getvalue().encode()
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": TEXTS}), sink)
    return sink.getvalue()


def compressed(raw: bytes, suffix: str) -> bytes:
    if suffix == ".zst":
        return bytes(pa.compress(raw, "zstd", asbytes=True))
    return {"": raw, ".gz": gzip.compress(raw), ".bz2": bz2.compress(raw)}[suffix]


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("parquet", ""), *product(["txt", "jsonl", "csv"], ["", ".gz", ".bz2", ".zst"])],
)
def test_every_format_gives_the_same_words(kind: str, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"c.{kind}{suffix}"
    file.write_bytes(compressed(content(kind), suffix))
    pieces = list(Corpus.of([file]).pieces())
    assert [words(p.text) for p in pieces] == [words(text) for text in TEXTS]
    assert [p.document for p in pieces] == list(range(len(TEXTS)))
    assert any(p.joined for p in pieces) == (kind == "txt")


@pytest.mark.parametrize("characters", [1, 7, 100])
def test_a_long_line_is_read_in_parts_that_end_between_words(
    characters: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_CHARACTERS", characters)
    file = tmp_path / "c.txt"
    file.write_text(" ".join(TEXTS), encoding="utf-8")
    found = [word for p in Corpus.of([file]).pieces() for word in words(p.text)]
    assert found == words(" ".join(TEXTS))
    many = list(batches(Corpus.of([file]).pieces(), {8}, at_once=10))
    assert sum(len(batch.grams[8][0]) for batch in many) == len(found) - 7


def test_wrapped_lines_are_read_on_and_files_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a b c\nd e f\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("g h i\n", encoding="utf-8")
    (batch,) = batches(Corpus.of([tmp_path]).pieces(), {4})
    assert [batch.words[i : i + 4] for i in batch.grams[4][0]] == [
        ["a", "b", "c", "d"],
        ["b", "c", "d", "e"],
        ["c", "d", "e", "f"],
    ]


def test_a_folder_gives_its_files_in_known_formats(tmp_path: Path) -> None:
    for name in ("b.txt", "deep/a.jsonl", ".hidden/c.txt", "README.weird"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content("jsonl" if name.endswith("jsonl") else "txt"))
    made = Corpus.of([tmp_path])
    assert [file.name for file, _ in made.files] == ["b.txt", "a.jsonl"]
    assert made.bytes == len(content("txt")) + len(content("jsonl"))


def test_progress_ends_with_all_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_SECONDS", 0.0)
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_bytes(content("jsonl"))
    told: list[tuple[int, int, str]] = []
    list(Corpus.of([tmp_path]).pieces(lambda *said: told.append(said)))
    total = 2 * len(content("jsonl"))
    assert told[-1] == (total, total, "b.jsonl")
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)


def test_what_is_broken_is_told(tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    file.write_text('{"text": "a"}\n{"body": "b"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"c\.jsonl, line 2, field 'text'.*--text.*body"):
        list(Corpus.of([file]).pieces())
    text = tmp_path / "c.txt"
    text.write_bytes(b"fine\nb\xffad\n")
    with pytest.raises(DataError, match=r"c\.txt, line 2: not valid utf-8"):
        list(Corpus.of([text]).pieces())
    text.write_bytes(b"")
    with pytest.raises(DataError, match="empty"):
        list(Corpus.of([text]).pieces())
    cut = tmp_path / "c.txt.gz"
    cut.write_bytes(gzip.compress(content("txt"))[:-12])
    with pytest.raises(DataError, match="decompressed"):
        list(Corpus.of([cut]).pieces())
    with pytest.raises(SourceError, match="no such"):
        Corpus.of([tmp_path / "none"])
    with pytest.raises(DataError, match="says no format"):
        Corpus.of([Path(__file__)])
    assert Corpus.of([Path(__file__)], format="text").files
