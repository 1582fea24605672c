"""Splits, duplicates, filters and reuse of corpora, against brute force."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import tempfile
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.data.corpora import Corpus, building, load_corpus, open_corpus
from gradus.data.splits import assign_by_hash
from gradus.errors import DataError, StorageError

SHARES = {"train": 0.6, "dev": 0.3, "test": 0.1}
RECORD = st.fixed_dictionaries(
    {
        "text": st.text(st.characters(codec="utf-8"), max_size=12),
        "site": st.sampled_from(["a", "b", "ü"]),
        "work": st.sampled_from("uvwxyz"),
        "karma": st.integers(0, 6),
    }
)


def write(folder: Path, records: list[dict[str, Any]], name: str = "web.jsonl") -> None:
    lines = (json.dumps(record) + "\n" for record in records)
    (folder / name).write_text("".join(lines), encoding="utf-8")


def build(folder: Path, seed: int = 13, **more: Any) -> Corpus:
    config = {"source": {"file": "web.jsonl"}, "split": SHARES, **more}
    return load_corpus("web", config, folder=folder, seed=seed, place=folder / "corpora")


def content(corpus: Corpus) -> dict[str, list[str]]:
    return {split: list(docs.texts()) for split, docs in corpus.splits.items()}


def padded(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Enough further documents that every split has some."""
    more = [
        {"text": f"filler number {n}", "site": "a", "work": f"w{n}", "karma": 9} for n in range(80)
    ]
    return [*records, *more]


def identity(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@settings(max_examples=12)
@given(st.lists(RECORD, max_size=30), st.integers(0, 3))
def test_every_distinct_text_is_once_where_its_hash_says(
    records: list[dict[str, Any]], seed: int
) -> None:
    records = padded(records)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, records)
        corpus = build(folder, seed, columns={"domain": "site"})
        texts = {r["text"] for r in records if r["text"] and not r["text"].isspace()}
        splits = assign_by_hash(map(identity, texts), SHARES, seed)
        expected: dict[str, list[str]] = {}
        for text in sorted(texts, key=identity):
            expected.setdefault(splits[identity(text)], []).append(text)
        assert content(corpus) == expected
        domains = {r["text"]: r["site"] for r in reversed(records)}
        for documents in corpus.splits.values():
            assert all(d.domain == domains[d.text] and d.id == identity(d.text) for d in documents)
        random.Random(seed).shuffle(records)
        write(folder, records)
        again = build(folder, seed, columns={"domain": "site"})
        assert content(again) == expected
        assert again.split_digests == corpus.split_digests
        kept = build(folder, seed, clean={"exact_duplicates": "keep"})
        every = [r["text"] for r in records if r["text"] and not r["text"].isspace()]
        assert sorted(t for part in content(kept).values() for t in part) == sorted(every)


@settings(max_examples=12)
@given(st.lists(RECORD, max_size=30))
def test_no_group_and_no_text_lies_in_two_splits(records: list[dict[str, Any]]) -> None:
    records = padded(records)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, records)
        # The group is read back as the domain.
        corpus = build(folder, columns={"group": "work", "domain": "work"})
        groups = {s: {d.domain for d in docs} for s, docs in corpus.splits.items()}
        found = [text for part in content(corpus).values() for text in part]
        assert len(found) == len(set(found))
        assert set(found) == {r["text"] for r in records if r["text"].strip()}
        names = list(groups)
        for one in names:
            for two in names[names.index(one) + 1 :]:
                assert not groups[one] & groups[two]


def test_progress_goes_on_within_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradus.data.overlap.corpus._SECONDS", 0.0)
    write(tmp_path, padded([{"text": f"{n} " + "word " * 400} for n in range(200)]))
    told: list[tuple[float, float, str]] = []
    load_corpus(
        "web",
        {"source": {"file": "web.jsonl"}},
        folder=tmp_path,
        seed=1,
        place=tmp_path / "corpora",
        progress=lambda *now: told.append(now),
    )
    size = (tmp_path / "web.jsonl").stat().st_size
    read = [done for done, total, what in told if what == "web.jsonl" and total == size]
    assert len(set(read)) > 5
    assert read == sorted(read)
    assert read[-1] <= size
    assert told[-1][2] == "sorting"


def test_buckets_leave_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = padded([{"text": f"t{n % 50}", "site": "b"} for n in range(300)])
    write(tmp_path, records)
    whole = build(tmp_path)
    monkeypatch.setattr(building, "BUCKET_BYTES", 500)
    parted = load_corpus(
        "web",
        {"source": {"file": "web.jsonl"}, "split": SHARES},
        folder=tmp_path,
        seed=13,
        place=tmp_path / "other",
    )
    assert parted.digest == whole.digest
    assert content(parted) == content(whole)
    assert not list(parted.place.glob("bucket*"))


def test_each_filter_counts_what_it_did(tmp_path: Path) -> None:
    english = "the cat and the dog were in the house, and it was not for us to say so"
    chinese = "酒店的早餐很丰富，房间也很干净，下次还会来住"
    repeated = "\n".join(["the line that is said again and again"] * 9)
    cases = [
        {"text": "  ", "karma": 9},
        {"text": english + " low", "karma": 2},
        {"text": "the cat", "karma": 3},
        {"text": english * 20, "karma": 3},
        {"text": "le chat et le chien sont dans la maison pour une heure", "karma": 5},
        {"text": repeated, "karma": 5},
        {"text": english, "karma": 5},
        {"text": english, "karma": 6},
        {"text": chinese, "karma": 5},
        {"text": "the cafe\u0301 of the town is in the square", "karma": 4},
    ]
    filler = [
        {"text": f"the {'abcdefghij'[n % 10] * (n + 3)} is of the town", "karma": 9}
        for n in range(60)
    ]
    write(tmp_path, cases + filler)
    corpus = build(
        tmp_path,
        columns={"score": "karma"},
        clean={
            "unicode": "NFC",
            "min_score": 3,
            "min_characters": 15,
            "max_characters": 500,
            "languages": ["en", "zh"],
            "repetition": 0.3,
        },
    )
    counts = corpus.facts["cleaning"]
    dropped = {name: count["dropped"] for name, count in counts.items()}
    assert dropped == {
        "empty": 1,
        "unicode": 0,
        "min_score": 1,
        "min_characters": 1,
        "max_characters": 1,
        "languages": 1,
        "repetition": 1,
        "exact_duplicates": 1,
    }
    assert counts["languages"]["reasons"] == {"fr": 1}
    assert counts["repetition"]["reasons"] == {"repeated lines": 1}
    assert counts["unicode"]["changed"] == 1
    assert counts["repetition"]["dropped_characters"] == len(repeated)
    # Each filter sees what the one before it left.
    names = list(dropped)
    for one, two in itertools.pairwise(names):
        assert counts[two]["seen"] == counts[one]["seen"] - counts[one]["dropped"]
    texts = [text for part in content(corpus).values() for text in part]
    assert len(texts) == corpus.facts["documents_read"] - sum(dropped.values())
    assert chinese in texts
    assert unicodedata.normalize("NFC", cases[-1]["text"]) in texts
    languages = {d.text: d.language for docs in corpus.splits.values() for d in docs}
    assert languages[chinese] == "zh"
    assert languages[english] == "en"


def test_given_languages_are_believed(tmp_path: Path) -> None:
    records = padded([{"text": "der die das", "site": "x"}])
    for record in records:
        record["lang"] = "nds" if record["text"] == "der die das" else ""
    write(tmp_path, records)
    corpus = build(tmp_path, columns={"language": "lang"})
    found = {d.text: d.language for docs in corpus.splits.values() for d in docs}
    assert found["der die das"] == "nds"
    assert found["filler number 7"] == "und"


def test_given_splits_keep_apart(tmp_path: Path) -> None:
    write(tmp_path, [{"text": f"t{n}"} for n in range(100)], "train.jsonl")
    write(tmp_path, [{"text": f"t{n}"} for n in range(90, 120)], "test.jsonl")
    config = {"source": {"train": {"file": "train.jsonl"}, "test": {"file": "test.jsonl"}}}
    corpus = load_corpus("w", config, folder=tmp_path, seed=1, place=tmp_path / "c")
    found = content(corpus)
    assert set(found["test"]) == {f"t{n}" for n in range(90, 120)}
    rest = found["train"] + found["dev.select"] + found["dev.gate"]
    assert set(rest) == {f"t{n}" for n in range(90)}
    assert corpus.facts["elsewhere"] == 10


def test_a_limit_takes_those_of_least_hash(tmp_path: Path) -> None:
    write(tmp_path, padded([]))
    corpus = build(tmp_path, limit=40)
    texts = {text for part in content(corpus).values() for text in part}
    every = sorted((f"filler number {n}" for n in range(80)), key=identity)
    assert texts == set(every[:40])
    assert corpus.facts["limited"] == 40


def test_a_corpus_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, padded([]))
    first = build(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(building.Builder, "read", lambda *_: pytest.fail("read again"))
        assert build(tmp_path).digest == first.digest
    assert build(tmp_path, seed=14).place != first.place
    write(tmp_path, padded([{"text": "one more"}]))
    assert build(tmp_path).place != first.place
    assert not list((tmp_path / "corpora/web").glob(".*.partial"))


def test_of_several_builders_one_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, padded([]))
    reading = building.Builder.read
    begun: list[int] = []

    def slowly(self: building.Builder, origins: Any) -> Any:
        begun.append(1)
        time.sleep(0.2)
        return reading(self, origins)

    monkeypatch.setattr(building.Builder, "read", slowly)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: build(tmp_path), range(4)))
    assert len(begun) == 1
    assert len({corpus.digest for corpus in found}) == 1


def test_what_a_killed_process_left_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, padded([]))
    whole = build(tmp_path)
    left = whole.place.with_name(f".{whole.place.name}.partial")
    whole.place.rename(left)
    (left / "corpus.json").unlink()
    (left / "bucket-000").write_bytes(b"half a record")
    again = build(tmp_path)
    assert again.digest == whole.digest
    assert not left.exists()
    with monkeypatch.context() as patched:
        patched.setattr(building.Builder, "write", lambda *_: os.write(-1, b""))
        with pytest.raises(StorageError, match="can't be written"):
            build(tmp_path, seed=99)
    assert not list(whole.place.parent.glob(".*.partial"))


@pytest.mark.parametrize("file", ["text.bin", "ends.bin", "ids.bin", "codes.bin", "index.json"])
def test_a_flipped_bit_is_refused_by_name(tmp_path: Path, file: str) -> None:
    write(tmp_path, padded([]))
    corpus = build(tmp_path)
    path = corpus.place / "train" / file
    found = bytearray(path.read_bytes())
    found[len(found) // 2] ^= 4
    path.write_bytes(found)
    with pytest.raises(DataError, match="delete the corpus's folder") as caught:
        open_corpus(corpus.place)
    assert caught.value.file == str(path)
    path.unlink()
    with pytest.raises(DataError, match="holds no whole corpus"):
        open_corpus(corpus.place)


def test_an_empty_split_says_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, [{"text": "one"}, {"text": "one"}])
    wanted = r"into train, there are 1 of 2 left \(dropped: exact_duplicates 1\): give more"
    with pytest.raises(DataError, match=wanted):
        build(tmp_path)
    assert all(path.suffix == ".lock" for path in (tmp_path / "corpora/web").iterdir())


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    write(tmp_path, padded([]))
    (tmp_path / "corpora").write_text("a file")
    with pytest.raises(StorageError, match="can't be written"):
        build(tmp_path)


@pytest.mark.parametrize(
    ("record", "columns", "message"),
    [
        ('{"text": 3}', {}, "line 81, field 'text': must be a string"),
        ('{"text": "a", "k": null}', {"score": "k"}, "line 1.*'k'"),
        ('{"text": "a"', {}, "line 81"),
        ('{"body": "a"}', {}, "line 81, field 'text': is missing"),
    ],
)
def test_broken_records_are_named(
    tmp_path: Path, record: str, columns: dict[str, str], message: str
) -> None:
    write(tmp_path, padded([]))
    with (tmp_path / "web.jsonl").open("a") as stream:
        stream.write(record + "\n")
    with pytest.raises(DataError, match=message) as caught:
        build(tmp_path, columns=columns)
    assert caught.value.file == str(tmp_path / "web.jsonl")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"clean": {"min_score": 3}}, "columns: {score"),
        ({"clean": {"min_characters": 9, "max_characters": 8}}, "nothing is left"),
        ({"clean": {"near_duplicates": 0.2}}, "near_duplicates"),
        ({"clean": {"near_duplicates": 0.8, "exact_duplicates": "keep"}}, "drops exact ones too"),
        ({"split": {"dev": 0.0}}, "validation and gates rest on dev"),
        ({"split": {"train": 0.9, "dev": 0.3}}, "must sum to 1"),
        ({"format": "jsnl"}, "did you mean 'jsonl"),
        ({"options": {"whole": True}, "format": "jsonl"}, "options"),
        ({"source": {"file": "web.jsonl", "train": {"file": "a"}}}, "unknown split 'file'"),
        ({"exclude": ["*.jsonl"]}, "'exclude' leaves no file"),
        ({"colums": {}}, "colums"),
    ],
)
def test_faults_of_the_plan(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    write(tmp_path, padded([]))
    with pytest.raises(DataError, match=message):
        build(tmp_path, **more)
