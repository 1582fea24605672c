"""Groups, filters, samples and copies: what is left out, and that the facts count it."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.data import SPLITS, Dataset
from gradus.data.load import load_dataset
from gradus.errors import DataError

from .conftest import WriteJsonl, texts


def load(folder: Path, source: Any, seed: int = 13, **options: Any) -> Dataset:
    return load_dataset("d", {"source": source, **options}, folder=folder, seed=seed)


def ids(data: Dataset) -> dict[str, list[str]]:
    return {name: list(split.ids) for name, split in data.splits.items()}


@given(st.lists(st.integers(0, 60), min_size=150, max_size=250), st.integers(0, 9))
def test_no_group_crosses_splits(groups: list[int], seed: int) -> None:
    rows = [
        {"text": f"t {i}", "label": "ab"[i % 2], "author": group}
        for i, group in enumerate([*groups, *range(61, 200)])
    ]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        columns = {"group": "author", "keep": ["author"]}
        shares = {"train": 0.4, "dev": 0.4, "test": 0.2}
        data = load(Path(folder), {"file": "a.jsonl"}, seed=seed, columns=columns, split=shares)
    found = [set(data.splits[name].columns["author"]) for name in SPLITS]
    assert sum(map(len, found)) == len(set().union(*found))
    assert sum(len(split) for split in data.splits.values()) == len(rows)
    assert data.facts["split"]["how"] == "hash of the group"


def test_a_group_of_test_leaves_train(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    rows = [{**row, "who": f"w{i % 20}"} for i, row in enumerate(texts(400))]
    write_jsonl("train.jsonl", rows[:380])
    write_jsonl("test.jsonl", [row for row in rows[380:] if row["who"] in ("w3", "w4")])
    source = {"train": {"file": "train.jsonl"}, "test": {"file": "test.jsonl"}}
    columns = {"group": "who", "keep": ["who"]}
    data = load(tmp_path, source, columns=columns, split={"dev": 0.4})
    assert set(data.splits["test"].columns["who"]) == {"w3", "w4"}
    for name in ("train", "dev.select", "dev.gate"):
        assert not set(data.splits[name].columns["who"]) & {"w3", "w4"}
    assert data.facts["moved_out"] == {"train": 38}


def test_filters_are_counted(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    rows = [
        {"text": f"some longer text {i}", "label": "abc"[i % 3], "lang": "en", "ok": i % 5 > 0}
        for i in range(300)
    ]
    rows += [{"text": f"short{i}", "label": "a", "lang": "en", "ok": True} for i in range(7)]
    rows += [
        {"text": f"texte assez long {i}", "label": "a", "lang": "fr", "ok": True} for i in range(9)
    ]
    rows += [{"text": " ", "label": "a", "lang": "en", "ok": True}]
    rows += [
        {"text": "x" * 100 + f" {i} y", "label": "a", "lang": "en", "ok": True} for i in range(4)
    ]
    write_jsonl("a.jsonl", rows)
    rule = {
        "min_words": 2,
        "max_chars": 100,
        "where": {"lang": ["en"], "ok": [True]},
        "drop_labels": ["c"],
    }
    data = load(tmp_path, {"file": "a.jsonl"}, filter=rule)
    counts = {"min_words": 8, "max_chars": 4, "where.lang": 9, "where.ok": 60, "drop_labels": 80}
    assert data.facts["filtered"] == counts
    assert data.facts["rows_read"] == len(rows)
    assert data.facts["rows"] == len(rows) - sum(counts.values()) == 160
    assert data.labels == ("a", "b")
    note = (
        "The filter took out, of 321 rows: drop_labels 80, max_chars 4, min_words 8, where.lang 9, "
        "where.ok 60."
    )
    assert note in data.facts["notes"]
    with pytest.raises(DataError, match="holds no rows, the filter leaves none of 321"):
        load(tmp_path, {"file": "a.jsonl"}, filter={"min_words": 100})


def test_unwanted_labels_and_spans(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl("a.jsonl", [{"text": f"t {i}", "labels": ["a", "b"][: i % 3]} for i in range(150)])
    rule = {"drop_labels": ["b"]}
    data = load(tmp_path, {"file": "a.jsonl"}, target="labels", filter=rule)
    assert data.labels == ("a",)
    assert data.facts["filtered"] == {"drop_labels": 50}
    assert data.facts["kept"] == 150
    spans = [[0, 1, "A"], [2, 4, "B"]]
    write_jsonl("b.jsonl", [{"text": f"x yy {i}", "spans": spans} for i in range(150)])
    data = load(tmp_path, {"file": "b.jsonl"}, target="spans", filter=rule | {"drop_labels": ["A"]})
    assert data.labels == ("B",)
    assert data.facts["filtered"] == {"drop_labels": 150}


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_sample_is_stable_and_counted(
    tmp_path: Path, write_jsonl: WriteJsonl, share: float
) -> None:
    write_jsonl("a.jsonl", texts(3000))
    full, part = (
        load(tmp_path, {"file": "a.jsonl"}),
        load(tmp_path, {"file": "a.jsonl"}, sample=share),
    )
    assert abs(part.facts["kept"] - 3000 * share) < 5 * (3000 * share * (1 - share)) ** 0.5
    for name in SPLITS:
        wanted = [i for i in ids(full)[name] if int(i[:16], 16) / 2**64 < share]
        assert ids(part)[name] == wanted
    assert part.facts["unsampled"] == 3000 - part.facts["kept"]
    assert f"left out {part.facts['unsampled']:,} texts" in " ".join(part.facts["notes"])
    write_jsonl("a.jsonl", texts(6000))
    grown = load(tmp_path, {"file": "a.jsonl"}, sample=share)
    assert all(set(ids(part)[name]) <= set(ids(grown)[name]) for name in SPLITS)


def test_a_number_of_texts_is_a_limit(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl("a.jsonl", texts(1000))
    one, two = (load(tmp_path, {"file": "a.jsonl"}, **{k: 200}) for k in ("sample", "limit"))
    assert one.digest == two.digest
    note = "Limited to 200 of 1,000 distinct texts, chosen by content hash."
    assert note in one.facts["notes"]


def test_copies_are_kept_within_their_split(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    train = [*texts(200), *texts(30), *texts(10), {"text": "text 0", "label": "b"}]
    test = [*texts(20, start=195), *texts(10, start=200)]
    write_jsonl("train.jsonl", train)
    write_jsonl("test.jsonl", test)
    source = {"train": {"file": "train.jsonl"}, "test": {"file": "test.jsonl"}}
    data = load(tmp_path, source, duplicates="keep", split={"dev": 0.4})
    assert Counter(data.splits["test"].texts) == Counter(r["text"] for r in test)
    every = [item for split in data.splits.values() for item in split.ids]
    assert len(set(every)) == len(every) == len(train) - 5 + len(test)
    homes: dict[str, set[str]] = {}
    for name, split in data.splits.items():
        for text in split.texts:
            homes.setdefault(text, set()).add(name)
    assert all(len(found) == 1 for found in homes.values())
    copies = sorted(i for i in every if "-" in i)
    assert len(copies) == 30 + 10 + 1 + 10
    facts = data.facts
    assert (facts["duplicates_dropped"], facts["duplicates_found"]) == (0, 51)
    assert facts["moved_out"] == {"train": 5}
    assert any(note.startswith("51 exact duplicates were kept") for note in facts["notes"])
    write_jsonl("train.jsonl", reversed(train))
    assert load(tmp_path, source, duplicates="keep", split={"dev": 0.4}).digest == data.digest


def test_conll_2003_test_stays_whole(shared_data: Path) -> None:
    parts = {"train": "train", "dev": "testa", "test": "testb"}
    source = {key: {"file": f"conll2003.eng.{name}"} for key, name in parts.items()}
    data = load(shared_data, source, format="conll", duplicates="keep")
    facts = data.facts["splits"]["test"]
    assert facts["rows"] == 3453
    assert facts["labels"] == {"LOC": 1668, "MISC": 702, "ORG": 1661, "PER": 1617}
    assert data.facts["rows"] == 14_041 + 3_250 + 3_453
    note = "Tags are in IOB1 (detected) in 3 files, 2 of them against its rules"
    assert any(found.startswith(note) for found in data.facts["notes"])
    for split in data.splits.values():
        assert split.words is not None
        for text, spans, words in zip(split.texts, split.labels, split.words, strict=True):
            assert [text[a:b] for a, b in words] == text.split(" ")
            starts, ends = {a for a, _ in words}, {b for _, b in words}
            assert all(s.start in starts and s.end in ends for s in spans)


def test_bins_make_labels_of_numbers(shared_data: Path) -> None:
    """The three classes of FiQA, against counting by the standard library alone."""
    posts = json.loads((shared_data / "FiQA_post.json").read_text())
    scores = {
        (post["sentence"], item["target"]): float(item["sentiment_score"])
        for post in reversed(posts.values())
        for item in reversed(post["info"])
    }
    bins = {"edges": [-0.1, 0.1], "names": ["negative", "neutral", "positive"]}
    columns = {"text": ["sentence", "target"], "label": "sentiment_score", "bins": bins}
    source = {"file": "FiQA_post.json"}
    data = load(shared_data, source, options={"each": "info"}, columns=columns)
    assert data.labels == ("negative", "neutral", "positive")
    found = sum((Counter(part["labels"]) for part in data.facts["splits"].values()), Counter())
    assert found == Counter(
        "negative" if s < -0.1 else "neutral" if s < 0.1 else "positive" for s in scores.values()
    )
