"""Further formats, compression, several files; files come from other writers than ours."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus import registry
from gradus.data.fields import ColumnsConfig
from gradus.data.formats.base import Row, Tally
from gradus.data.formats.json_records import Json
from gradus.data.load import load_dataset, read_texts
from gradus.data.rows import read_rows
from gradus.errors import DataError, SourceError
from gradus.records import Pair, Span, Target

from .conftest import texts


def read(
    name: str,
    *files: Path,
    options: dict[str, Any] | None = None,
    target: Target = "label",
    **columns: Any,
) -> list[Row]:
    kind = registry.load("formats", name)
    reader = kind(kind.Config(**(options or {})))
    return list(read_rows(reader, files, target=target, columns=ColumnsConfig(**columns)))


def csv_bytes(n: int = 200) -> bytes:
    return ("text,label\n" + "".join(f"{r['text']},{r['label']}\n" for r in texts(n))).encode()


def zipped(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._a.csv", b"\x00")
        archive.writestr("inner/a.csv", content)


def zst(path: Path, content: bytes) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        stream.write(content)


PACKERS: dict[str, Callable[[Path, bytes], object]] = {
    "a.csv.gz": lambda path, content: path.write_bytes(gzip.compress(content)),
    "a.CSV.bz2": lambda path, content: path.write_bytes(bz2.compress(content)),
    "a.csv.xz": lambda path, content: path.write_bytes(lzma.compress(content)),
    "a.csv.zst": zst,
    "a.zip": zipped,
}


@pytest.mark.parametrize("name", PACKERS)
def test_compressed_files(tmp_path: Path, name: str) -> None:
    (tmp_path / "plain.csv").write_bytes(csv_bytes())
    PACKERS[name](tmp_path / name, csv_bytes())
    plain, packed = (
        load_dataset("d", {"source": {"file": file}}, folder=tmp_path, seed=1)
        for file in ("plain.csv", name)
    )
    assert packed.digest == plain.digest
    assert packed.facts["format"] == {"all": "csv"}


@pytest.mark.parametrize("name", PACKERS)
def test_damaged_archives(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    PACKERS[name](path, csv_bytes(2000))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError) as caught:
        read("csv", path)
    assert str(caught.value).startswith(f"{path}: can't be decompressed (")
    path.write_bytes(b"no archive at all")
    with pytest.raises(DataError, match="can't be decompressed"):
        read("csv", path)


def test_archives_with_several_files(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", b"text,label\n")
        archive.writestr("b.csv", b"text,label\n")
    with pytest.raises(DataError, match=r"must hold one file, holds 2 \('a.csv', 'b.csv'\)"):
        read("csv", path)


def test_several_files_are_one(tmp_path: Path) -> None:
    content = csv_bytes(300).decode().splitlines(keepends=True)
    (tmp_path / "all.csv").write_text("".join(content))
    (tmp_path / "parts").mkdir()
    for i in range(3):
        part = "".join([content[0], *content[1 + i * 100 : 101 + i * 100]])
        (tmp_path / "parts" / f"part-{i}.csv").write_text(part)
    sources: list[dict[str, Any]] = [
        {"file": "all.csv"},
        {"file": "parts/part-*.csv"},
        {"files": ["parts/part-2.csv", "parts/part-[01].csv"]},
        {"folder": "parts"},
    ]
    found = [
        load_dataset("d", {"source": source, "format": "csv"}, folder=tmp_path, seed=1)
        for source in sources
    ]
    assert len({data.digest for data in found}) == 1
    assert [data.facts["files"] for data in found] == [1, 3, 3, 3]
    auto = load_dataset("d", {"source": {"file": "parts/*.csv"}}, folder=tmp_path, seed=1)
    assert auto.digest == found[0].digest


def test_columns_are_chosen_in_each_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,a\n")
    (tmp_path / "b.csv").write_text("category,text\nb,y\n")
    rows = read("csv", tmp_path / "a.csv", tmp_path / "b.csv")
    assert [(row.text, row.label) for row in rows] == [("x", "a"), ("y", "b")]


def test_parquet_by_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    nested = pa.array([{"stars": i} for i in range(10_000)])
    dictionary = pa.array(["a", "b"] * 5000).dictionary_encode()
    table = pa.table({"text": [f"t {i}" for i in range(10_000)], "kind": dictionary, "in": nested})
    pq.write_table(table, path, row_group_size=700, compression="zstd")
    rows = read("parquet", path, label="kind", keep=["in.stars"])
    assert [row.text for row in rows] == [f"t {i}" for i in range(10_000)]
    assert [row.line for row in rows] == list(range(1, 10_001))
    assert (rows[7].label, rows[7].columns) == ("b", {"in.stars": "7"})
    with pytest.raises(DataError) as caught:
        read("parquet", path, label="knd")
    assert str(caught.value) == (
        f"{path}, line 1, field 'knd': no such column for the label: did you mean 'kind'?"
    )


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1).filter(lambda t: not t.isspace()),
            st.integers(-9, 9) | st.sampled_from(["a", "b"]),
        ),
        min_size=1,
        max_size=20,
    ),
    st.integers(1, 7),
)
def test_parquet_gives_back_what_arrow_wrote(rows: list[tuple[str, Any]], group: int) -> None:
    labels = [str(label) for _, label in rows]
    table = pa.table({"text": [text for text, _ in rows], "label": labels})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        pq.write_table(table, path, row_group_size=group)
        found = read("parquet", path)
    assert [(row.text, row.label) for row in found] == [(t, str(label)) for t, label in rows]


def test_parquet_of_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": ["a", "b"], "label": [1, 0]}, index=[5, 6])
    frame.to_parquet(tmp_path / "a.parquet")
    assert [(r.text, r.label) for r in read("parquet", tmp_path / "a.parquet")] == [
        ("a", "1"),
        ("b", "0"),
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(
    st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=4), min_size=1, max_size=5),
    st.sampled_from([None, 0, 1, "\t"]),
    st.booleans(),
)
def test_json_gives_back_what_json_wrote(
    records: list[dict[str, Any]], indent: Any, by_id: bool
) -> None:
    whole = {str(i): record for i, record in enumerate(records)} if by_id else records
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        path.write_text(json.dumps(whole, indent=indent), encoding="utf-8")
        found = list(Json().records(path, encodings=None, tally=Tally()))
        lines = path.read_text().split("\n")
    wanted = [{"id": str(i), **r} for i, r in enumerate(records)] if by_id else records
    assert [record.fields for record in found] == wanted
    for record in found:
        assert lines[record.line - 1].lstrip()[:1] in (['"', "{"] if by_id else ["{", "["])


def test_fiqa_posts(shared_data: Path) -> None:
    """Every target of every post, counted by the standard library alone."""
    path = shared_data / "FiQA_post.json"
    posts = json.loads(path.read_text())
    wanted = [
        (post["sentence"], item["target"], float(item["sentiment_score"]))
        for post in posts.values()
        for item in post["info"]
    ]
    rows = read(
        "json",
        path,
        options={"each": "info"},
        target="number",
        text=["sentence", "target"],
        label="sentiment_score",
    )
    found = [(r.text.first, r.text.second, r.label) for r in rows if isinstance(r.text, Pair)]
    assert found == wanted
    assert -1 <= min(row.label for row in rows) <= max(row.label for row in rows) <= 1  # type: ignore[type-var]  # numbers


def test_plain_text(tmp_path: Path) -> None:
    (tmp_path / "news").mkdir()
    (tmp_path / "mail").mkdir()
    (tmp_path / "news" / "a.txt").write_bytes(b"one\r\n\n  two \nthree")
    (tmp_path / "mail" / "b.txt.gz").write_bytes(gzip.compress(b"four\n"))
    files = [tmp_path / "news" / "a.txt", tmp_path / "mail" / "b.txt.gz"]
    rows = read("text", *files, options={"label": "folder"})
    assert [(r.text, r.label, r.line) for r in rows] == [
        ("one", "news", 1),
        ("  two ", "news", 3),
        ("three", "news", 4),
        ("four", "mail", 1),
    ]
    whole = read("text", *files, options={"label": "file", "whole": True})
    assert [(r.text, r.label) for r in whole] == [("one\r\n\n  two \nthree", "a"), ("four\n", "b")]
    with pytest.raises(DataError, match="the texts have no labels: name where they come from"):
        read("text", *files)


def test_unlabelled_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\none\n")
    assert sorted(read_texts("s", {"source": {"file": "a.txt"}}, folder=tmp_path)) == ["one", "two"]
    (tmp_path / "b.jsonl").write_text('{"text": "three"}\n')
    source = {"train": {"file": "b.jsonl"}, "test": {"file": "a.txt"}}
    assert sorted(read_texts("s", {"source": source}, folder=tmp_path)) == ["one", "three", "two"]


def test_real_lines(shared_data: Path) -> None:
    found = read_texts("s", {"source": {"file": "ptb.valid.txt"}}, folder=shared_data)
    wanted = set((shared_data / "ptb.valid.txt").read_text().split("\n")) - {""}
    assert set(found) == wanted


def test_what_the_datasets_library_saved(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the datasets library isn't installed")
    tags = datasets.ClassLabel(names=["O", "B-PER", "I-PER"])
    features = datasets.Features(
        {
            "tokens": datasets.Sequence(datasets.Value("string")),
            "ner_tags": datasets.Sequence(tags),
            "topic": datasets.ClassLabel(names=["x", "y"]),
        }
    )
    rows = {
        "tokens": [["Ann", "Lee", f"ran {i}".split()[1]] for i in range(120)],
        "ner_tags": [[1, 2, 0]] * 120,
        "topic": [i % 2 for i in range(120)],
    }
    made = datasets.Dataset.from_dict(rows, features=features)
    made.save_to_disk(str(tmp_path / "one"))
    parts = made.train_test_split(test_size=20, seed=1)
    parts.save_to_disk(str(tmp_path / "two"))
    columns = {"text": "tokens", "label": "ner_tags"}
    entry = {"source": {"folder": "one"}, "target": "spans", "columns": columns}
    data = load_dataset("d", entry, folder=tmp_path, seed=1)
    assert data.facts["format"] == {"all": "datasets"}
    assert data.labels == ("PER",)
    assert data.splits["train"].labels[0] == (Span(0, 7, "PER"),)
    given = {name: {"folder": f"two/{name}"} for name in ("train", "test")}
    data = load_dataset("d", {**entry, "source": given}, folder=tmp_path, seed=1)
    assert data.facts["splits"]["test"]["rows"] == 20
    with pytest.raises(DataError, match=r"has the splits 'train', 'test': say which with 'options"):
        load_dataset("d", {**entry, "source": {"folder": "two"}}, folder=tmp_path, seed=1)
    chosen = {**entry, "source": {"folder": "two"}, "options": {"split": "train"}}
    assert load_dataset("d", chosen, folder=tmp_path, seed=1).facts["rows"] == 100


def test_a_repository_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub's repository as it lies in the cache: data files and a card that names the splits."""
    pytest.importorskip("datasets", reason="the datasets library isn't installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "train.csv").write_bytes(csv_bytes(100))
    (repo / "held.csv").write_bytes(b"text,label\nlast,a\n")
    (repo / "README.md").write_text(
        "---\nconfigs:\n- config_name: plain\n  data_files:\n  - {split: train, path: train.csv}\n"
        "  - {split: held, path: held.csv}\n---\n"
    )
    rows = read("datasets", repo, options={"split": "held", "config": "plain"})
    assert [(r.text, r.label) for r in rows] == [("last", "a")]
    with pytest.raises(DataError, match="there is no such split"):
        read("datasets", repo, options={"split": "hold"})


def test_a_hub_that_cant_be_reached(tmp_path: Path) -> None:
    """The whole way, offline: one clear error, nothing downloaded."""
    code = (
        "from pathlib import Path; from gradus.data.load import load_dataset;"
        "load_dataset('d', {'source': {'hub': 'no/such', 'config': 'c', 'split': 'train'}},"
        "folder=Path(), seed=1)"
    )
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"{SourceError.__module__}.SourceError: the hub's repository no/such")
    assert "HF_HUB_OFFLINE" in last


def test_a_repository_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source's split reaches the format; only the download is stood in for."""
    pytest.importorskip("datasets", reason="the datasets library isn't installed")
    from gradus.sources import hub, locate_weights

    repo = tmp_path / ("0" * 40)
    repo.mkdir()
    (repo / "train.csv").write_bytes(csv_bytes(150))
    (repo / "test.csv").write_bytes(b"text,label\nlast,a\n")
    monkeypatch.setattr(hub, "_snapshot", lambda config, purpose: repo)
    parts = {name: {"hub": "org/name", "split": name} for name in ("train", "test")}
    data = load_dataset("d", {"source": parts}, folder=tmp_path, seed=1)
    assert list(data.splits["test"].texts) == ["last"]
    assert data.facts["format"] == {"train": "datasets", "test": "datasets"}
    assert data.facts["origin"]["test"] == {
        "hub": "org/name",
        "revision": "0" * 40,
        "split": "test",
    }
    with pytest.raises(SourceError, match="weights have no config or split"):
        locate_weights("m", parts["test"], tmp_path)
