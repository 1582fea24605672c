"""The four targets, from records to arrays, digests and facts; on written data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradus.data import SPLITS, Dataset
from gradus.data.facts import measurements
from gradus.data.load import load_dataset
from gradus.errors import DataError
from gradus.records import Pair, Span

from .conftest import WriteJsonl


def load(folder: Path, source: Any, seed: int = 13, **options: Any) -> Dataset:
    return load_dataset("d", {"source": source, **options}, folder=folder, seed=seed)


def test_several_labels(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    sets = [["b", "a"], ["a"], [], ["c", "a", "c"]]
    write_jsonl("a.jsonl", [{"text": f"t {i}", "labels": sets[i % 4]} for i in range(200)])
    data = load(tmp_path, {"file": "a.jsonl"}, target="labels")
    assert (data.target, data.labels) == ("labels", ("a", "b", "c"))
    for split in data.splits.values():
        assert split.labels.dtype == np.bool_
        assert split.labels.shape == (len(split), 3)
        for text, flags in zip(split.texts, split.labels, strict=True):
            wanted = set(sets[int(text.split()[1]) % 4])
            assert {n for n, flag in zip(data.labels, flags, strict=True) if flag} == wanted
    counts = data.facts["splits"]["train"]["labels"]
    assert list(counts) == ["a", "b", "c"]
    shares = {m.metric: m for m in measurements(data)}
    assert shares["smallest_class_share"].value == 50 / 200  # b and c, each in a quarter of texts
    lines = ["text,labels"] + [f't {i},"{"; ".join(sets[i % 4])}"' for i in range(200)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    same = load(tmp_path, {"file": "a.csv"}, target="labels", columns={"separator": ";"})
    assert same.digest == data.digest
    quotas = load(tmp_path, {"file": "a.jsonl"}, target="labels", split={"stratify": True})
    assert quotas.facts["splits"]["train"]["labels"] == {"a": 120, "b": 40, "c": 40}


def test_a_number(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl("a.jsonl", [{"text": f"t {i}", "score": i / 8 - 2} for i in range(200)])
    data = load(tmp_path, {"file": "a.jsonl"}, target="number")
    assert (data.target, data.labels) == ("number", ())
    for split in data.splits.values():
        assert split.labels.dtype == np.float64
        wanted = [int(t.split()[1]) / 8 - 2 for t in split.texts]
        assert split.labels.tolist() == wanted
    facts = data.facts["splits"]["train"]
    assert facts["labels"] == {}
    assert facts["numbers"]["mean"] == pytest.approx(data.splits["train"].labels.mean())
    assert [m.metric for m in measurements(data)] == ["rows", "duplicate_rate", "conflict_rate"]
    lines = ["text,score"] + [f"t {i},{i / 8 - 2:e}" for i in range(200)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert load(tmp_path, {"file": "a.csv"}, target="number").digest == data.digest
    write_jsonl("b.jsonl", [{"text": f"t {i}", "score": (i + 1) / 8 - 2} for i in range(200)])
    assert load(tmp_path, {"file": "b.jsonl"}, target="number").digest != data.digest


def test_spans(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    records = [
        {"text": f"Ann met Bob{i} in Rome.", "spans": [[0, 3, "PER"], [8, 11 + len(str(i)), "PER"]]}
        for i in range(200)
    ]
    for record in records[::2]:
        start = record["text"].index("Rome")  # type: ignore[attr-defined]  # a text
        record["spans"] = [{"start": start, "end": start + 4, "label": "LOC"}]
    write_jsonl("a.jsonl", records)
    data = load(tmp_path, {"file": "a.jsonl"}, target="spans")
    assert (data.target, data.labels) == ("spans", ("LOC", "PER"))
    train = data.splits["train"]
    assert train.labels.dtype == object
    assert train.words is not None
    for text, spans, words in zip(train.texts, train.labels, train.words, strict=True):
        assert isinstance(spans, tuple)
        found = [(text[s.start : s.end], s.label) for s in spans]
        name = text.split()[2]
        even = int(name[3:]) % 2 == 0
        assert found == ([("Rome", "LOC")] if even else [("Ann", "PER"), (name, "PER")])
        assert [text[a:b] for a, b in words] == ["Ann", "met", name, "in", "Rome", "."]
    kept = sum(len(split) for split in data.splits.values())
    share = {m.metric: m for m in measurements(data)}["smallest_class_share"]
    assert (share.value, share.n, kept) == (100 / 300, 300, 200)
    records[7]["spans"] = [[0, 3, "LOC"]]
    write_jsonl("a.jsonl", records)
    assert load(tmp_path, {"file": "a.jsonl"}, target="spans").digest != data.digest


def test_spans_cut_words(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl(
        "a.jsonl",
        [
            {
                "text": f"pre{i}fix [x]",
                "spans": [[0, 3, "P"], [len(f"pre{i}"), len(f"pre{i}fix"), "S"]],
            }
            for i in range(200)
        ],
    )
    train = load(tmp_path, {"file": "a.jsonl"}, target="spans").splits["train"]
    assert train.words is not None
    text, words = train.texts[0], train.words[0]
    assert [text[a:b] for a, b in words] == ["pre", text[3:-7], "fix", "[", "x", "]"]
    assert train.labels[0][0] == Span(0, 3, "P")


def test_pairs(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl(
        "a.jsonl",
        [
            {"premise": f"It rains {i}.", "hypothesis": "It is wet.\nIs it?", "label": "ab"[i % 2]}
            for i in range(200)
        ],
    )
    data = load(tmp_path, {"file": "a.jsonl"}, columns={"text": ["premise", "hypothesis"]})
    for split in data.splits.values():
        for text in split.texts:
            assert isinstance(text, Pair)
            assert text.first.startswith("It rains")
            assert text.second == "It is wet.\nIs it?"
        assert all(isinstance(text, Pair) for text in split.take([0]).texts)
    from gradus.data.splits import content_id

    train = data.splits["train"]
    assert train.ids[0] == content_id(train.texts[0])


def test_words_and_tags_as_lists(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl(
        "a.jsonl",
        [
            {"tokens": ["Ann", f"Lee{i}", "ran"], "tags": ["B-PER", "I-PER", "O"]}
            for i in range(200)
        ],
    )
    columns = {"text": "tokens", "label": "tags"}
    train = load(tmp_path, {"file": "a.jsonl"}, target="spans", columns=columns).splits["train"]
    text = train.texts[0]
    assert train.labels[0] == (Span(0, len(text) - 4, "PER"),)
    assert train.words is not None
    assert [text[a:b] for a, b in train.words[0]] == text.split(" ")


def test_columns_are_kept(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl(
        "a.jsonl",
        [
            {"text": f"t {i}", "label": "ab"[i % 2], "year": i, "lang": None if i % 2 else "en"}
            for i in range(200)
        ],
    )
    data = load(tmp_path, {"file": "a.jsonl"}, columns={"keep": ["year", "lang"]})
    for split in data.splits.values():
        years = split.columns["year"]
        assert [f"t {year}" for year in years] == list(split.texts)
        wanted = ["" if int(y) % 2 else "en" for y in years]
        assert list(split.columns["lang"]) == wanted
        part = split.take([1, 0])
        assert list(part.columns["year"]) == [years[1], years[0]]


@pytest.mark.parametrize("target", ["label", "labels", "number", "spans"])
def test_the_order_of_rows_has_no_part(tmp_path: Path, target: str) -> None:
    by_target = {
        "label": "ab",
        "labels": [["x"], ["x", "y"]],
        "number": [0.5, 1],
        "spans": [[[0, 1, "A"]], []],
    }
    rows = [{"text": f"t {i}", "label": by_target[target][i % 2]} for i in range(200)]
    found = []
    for order in (rows, rows[::-1]):
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in order))
        found.append(load(tmp_path, {"file": "a.jsonl"}, target=target))
    assert found[0].digest == found[1].digest
    for name in SPLITS:
        one, two = (data.splits[name] for data in found)
        assert one.texts == two.texts
        assert one.labels.tolist() == two.labels.tolist()


def test_a_target_that_isnt_wanted() -> None:
    from gradus.data.dataset import TrainingData

    data = TrainingData(
        name="d",
        labels=(),
        train=None,
        select=None,
        digest="",
        target="number",  # type: ignore[arg-type]  # not looked at
    )
    with pytest.raises(DataError, match="d: tag needs data with 'target: spans', this has"):
        data.require("spans", "tag")
