"""Bad entries of a plan's data: every fault is told in one line, with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradus.data.load import load_dataset
from gradus.errors import EXIT_USAGE, DataError, GradusError, SourceError

from .test_bad_records import lines

NUMBER: dict[str, Any] = {"target": "number"}
LABELS: dict[str, Any] = {"target": "labels"}
GOOD = lines(*({"text": f"t {i}", "label": "ab"[i % 2], "n": i, "s": []} for i in range(100)))
FILE = {"source": {"file": "a.jsonl"}}
CONFIG: list[tuple[str, dict[str, Any], str]] = [
    ("source absent", {"source": {"file": "b.jsonl"}}, "b.jsonl doesn't exist"),
    ("pattern fits nothing", {"source": {"file": "b-*.jsonl"}}, "no file fits the pattern"),
    (
        "file named twice",
        {"source": {"files": ["a.jsonl", "a.json*"]}},
        "is named twice in 'files'",
    ),
    (
        "files of two formats",
        {"source": {"files": ["a.jsonl", "b.csv"]}},
        "b.csv: ends in another way than a.jsonl",
    ),
    ("no files", {"source": {"files": []}}, "should have at least 1 item"),
    (
        "folder without such files",
        {"source": {"folder": "."}, "format": "parquet"},
        "holds no file that ends in .parquet",
    ),
    ("a folder named as a file", {"source": {"file": "."}}, "is a folder, not a file"),
    ("unknown format", {**FILE, "format": "jsnol"}, "did you mean 'jsonl'?"),
    (
        "unknown option",
        {**FILE, "format": "conll", "options": {"shceme": "iob1"}},
        "did you mean 'scheme'?",
    ),
    (
        "wrong option",
        {**FILE, "format": "conll", "options": {"scheme": "iob3"}},
        "scheme: Input should be 'auto', 'iob1', 'iob2' or 'iobes'",
    ),
    (
        "option of no format",
        {**FILE, "options": {"whole": True}},
        "unknown option of the format jsonl 'whole'",
    ),
    (
        "bins without names",
        {**FILE, "columns": {"bins": {"edges": [0, 1], "names": ["a", "b"]}}},
        "2 edges part 3 labels: name each once",
    ),
    (
        "bins of a number",
        {**FILE, **NUMBER, "columns": {"bins": {"edges": [0], "names": ["a", "b"]}}},
        "columns.bins: makes one label of a number",
    ),
    ("unknown target", {**FILE, "target": "span"}, "target: Input should be 'label'"),
    (
        "another target than the format's",
        {**FILE, "format": "conll", "target": "label"},
        "the format conll gives spans",
    ),
    (
        "three texts",
        {**FILE, "columns": {"text": ["a", "b", "c"]}},
        "columns.text: must be one field, or two",
    ),
    (
        "pair of one",
        {**FILE, "columns": {"text": ["a", "a"]}},
        "columns.text: must be one field, or two",
    ),
    (
        "pair with spans",
        {**FILE, "target": "spans", "columns": {"text": ["a", "b"]}},
        "spans are marked in one text",
    ),
    (
        "separator without labels",
        {**FILE, "columns": {"separator": ";"}},
        "columns.separator: only 'target: labels'",
    ),
    (
        "empty separator",
        {**FILE, **LABELS, "columns": {"separator": ""}},
        "columns.separator: String should have at least 1",
    ),
    ("kept twice", {**FILE, "columns": {"keep": ["n", "n"]}}, "columns.keep: names a field twice"),
    (
        "filter the wrong way round",
        {**FILE, "filter": {"min_words": 5, "max_words": 3}},
        "min_words 5 is above max_words 3",
    ),
    (
        "filter below one",
        {**FILE, "filter": {"min_chars": 0}},
        "filter.min_chars: Input should be greater than 0",
    ),
    ("filter of no value", {**FILE, "filter": {"where": {"n": []}}}, "where.n lists no value"),
    (
        "unwanted labels of a number",
        {**FILE, **NUMBER, "filter": {"drop_labels": ["a"]}},
        "a number has no labels",
    ),
    (
        "everything filtered out",
        {**FILE, "filter": {"where": {"n": ["x"]}}},
        "the filter leaves none of 100",
    ),
    ("labels of a number", {**FILE, **NUMBER, "labels": ["a", "b"]}, "labels: a number has none"),
    ("one label", {**FILE, "labels": ["a"]}, "labels: must be at least two"),
    ("sample of all", {**FILE, "sample": 1.5}, "sample"),
    ("sample of nothing", {**FILE, "sample": 0}, "sample"),
    (
        "sample and limit",
        {**FILE, "sample": 10, "limit": 5},
        "'sample' is a number of texts already",
    ),
    (
        "stratified numbers",
        {**FILE, **NUMBER, "split": {"stratify": True}},
        "split.stratify: needs 'target: label'",
    ),
    (
        "stratified groups",
        {**FILE, "columns": {"group": "n"}, "split": {"stratify": True}},
        "would tear groups apart",
    ),
    (
        "stratified copies",
        {**FILE, "duplicates": "keep", "split": {"stratify": True}},
        "drop 'split.stratify'",
    ),
    (
        "copies in groups",
        {**FILE, "duplicates": "keep", "columns": {"group": "n"}},
        "drop 'columns.group'",
    ),
    ("shares above one", {**FILE, "split": {"train": 0.9, "dev": 0.2}}, "the shares must sum to 1"),
    (
        "share of a given split",
        {"source": {"train": FILE["source"], "test": FILE["source"]}, "split": {"test": 0.1}},
        "test is given by its own source",
    ),
    (
        "split unknown",
        {"source": {"train": FILE["source"], "valid": FILE["source"]}},
        "unknown split 'valid'",
    ),
    ("too few groups", {**FILE, "columns": {"group": "label"}}, "no text falls into"),
    (
        "one number",
        {**FILE, **NUMBER, "columns": {"label": "one"}},
        "every text of train has the same number",
    ),
    (
        "no spans at all",
        {**FILE, "target": "spans", "columns": {"label": "s"}},
        "no text of train has any spans",
    ),
    (
        "no labels at all",
        {**FILE, **LABELS, "columns": {"label": "s"}},
        "no text of train has any labels",
    ),
    (
        "a label of test alone",
        {"source": {"train": FILE["source"], "test": {"file": "b.csv"}}, "format": "auto"},
        "b.csv, line 2: the label 'new' stands in test but not in train",
    ),
    (
        "train all in test",
        {"source": {"train": FILE["source"], "test": FILE["source"]}},
        "no text falls into",
    ),
    ("weights have no rows", {"source": {"gguf": "a.gguf"}}, "gives no data"),
    (
        "config for files",
        {"source": {"file": "a.jsonl", "split": "train"}},
        "unknown field 'split'",
    ),
]


@pytest.mark.parametrize(("entry", "message"), [c[1:] for c in CONFIG], ids=[c[0] for c in CONFIG])
def test_entries(tmp_path: Path, entry: dict[str, Any], message: str) -> None:
    content = GOOD.replace(b'"s": []', b'"s": [], "one": 1')
    (tmp_path / "a.jsonl").write_bytes(content)
    (tmp_path / "b.csv").write_text("text,label\nsomething,new\n")
    with pytest.raises((DataError, SourceError)) as caught:
        load_dataset("d", entry, folder=tmp_path, seed=1)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, GradusError)
    assert caught.value.exit_code == EXIT_USAGE
