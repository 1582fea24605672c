"""The index of a training text against looking through the text itself."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.data.corpora import Documents
from gradus.data.corpora.documents import Writer
from gradus.data.overlap.ngrams import gram_hashes, word_hashes, words
from gradus.errors import DataError
from gradus.writing import index as module
from gradus.writing.index import MANIFEST, TrainingIndex, build, open_index

TEXTS = [
    "Now is the winter of our discontent\nMade glorious summer by this sun of York.",
    "房间很干净，早餐也很丰富。前台的服务态度非常好，下次还会来。",
    "Café au lait, naïve façade — and 1,200 more.",
    "",
    "a" * 90,
]
ALPHABET = "ab 你é\U0001f600"


def build_in(folder: Path, texts: list[str], shard: int = 120, overlap: int = 40) -> TrainingIndex:
    folder.mkdir(parents=True, exist_ok=True)
    build(lambda: texts, folder, shard=shard, overlap=overlap)
    return TrainingIndex(folder)


def longest_by_hand(text: str, documents: list[str]) -> int:
    best = 0
    for start in range(len(text)):
        while start + best < len(text) and any(
            text[start : start + best + 1] in d for d in documents
        ):
            best += 1
    return best


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> TrainingIndex:
    return build_in(tmp_path_factory.mktemp("index") / "small", TEXTS)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("the winter of our discontent\nMade", 33),
        ("早餐也很丰富!", 6),
        ("naïve façade", 12),
        ("", 0),
        ("zzz", 0),
        ("a" * 200, 90),
        ("discontent\n房间", 11),
    ],
)
def test_the_longest_copy_is_counted_in_characters(
    small: TrainingIndex, text: str, length: int
) -> None:
    assert longest_by_hand(text, TEXTS) == length
    assert small.longest([text]).tolist() == [length]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(ALPHABET, max_size=70), min_size=1, max_size=6),
    st.lists(st.text(ALPHABET, max_size=30), max_size=4),
)
def test_copies_are_those_of_looking_everywhere(
    tmp_path_factory: pytest.TempPathFactory, documents: list[str], texts: list[str]
) -> None:
    index = build_in(tmp_path_factory.mktemp("any"), documents, shard=400, overlap=130)
    expected = [longest_by_hand(text, documents) for text in texts]
    assert index.longest(texts).tolist() == expected


def test_no_copy_runs_from_one_document_into_the_next(tmp_path: Path) -> None:
    index = build_in(tmp_path, ["one two", "three four"], shard=1000)
    assert index.longest(["one twothree four"]).tolist() == [10]


def test_a_document_longer_than_a_shard_is_found_whole_up_to_the_overlap(tmp_path: Path) -> None:
    letters = np.random.default_rng(0).choice(list("abcd"), 2000)
    text = "".join(letters.tolist())
    index = build_in(tmp_path, [text], shard=150, overlap=60)
    for start in range(0, 1900, 37):
        assert index.longest([text[start : start + 60]]).tolist() == [60]
    assert index.longest([text])[0] >= 60


@pytest.mark.parametrize("size", [4, 8])
def test_ngrams_are_those_of_the_documents(
    small: TrainingIndex, size: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_GRAMS", 5)
    monkeypatch.setattr(module, "batches", partial(module.batches, at_once=7))
    monkeypatch.setattr(module, "_PIECE", 20)
    pieced = build_in(tmp_path, TEXTS)
    there = {tuple(words(t)[i : i + size]) for t in TEXTS for i in range(len(words(t)) - size + 1)}
    asked = [words("it is the winter of our discontent made glorious summer by this sun of york a")]
    asked += [words("早餐也很丰富前台的服务不好"), words("of york now is the winter of our")]
    for text in asked:
        ((_, hashes),) = gram_hashes(word_hashes(text), [size])
        expected = [tuple(text[i : i + size]) in there for i in range(len(text) - size + 1)]
        assert small.holds(size, hashes).tolist() == expected
        assert pieced.holds(size, hashes).tolist() == expected
    assert len(list(tmp_path.glob(f"grams-{size}-*.bin"))) > 1


def documents_in(folder: Path, texts: list[str]) -> Documents:
    import hashlib

    writer = Writer(folder)
    for digest, raw in sorted((hashlib.sha256(t.encode()).digest(), t.encode()) for t in texts):
        writer.add(digest, raw, -1, -1)
    writer.close([], [])
    return Documents(folder)


def test_it_is_built_once_for_each_training_text(tmp_path: Path) -> None:
    first = documents_in(tmp_path / "first", TEXTS[:3])
    told: list[tuple[float, float]] = []
    index = open_index(first, tmp_path / "place", lambda done, total: told.append((done, total)))
    assert index.bytes == first.bytes + 3
    assert told[-1][0] == told[-1][1] == 2 * first.bytes
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "place").rglob("*") if p.is_file()}
    assert open_index(first, tmp_path / "place").longest([TEXTS[2]]).tolist() == [len(TEXTS[2])]
    assert {p: p.stat().st_mtime_ns for p in made} == made
    other = documents_in(tmp_path / "other", TEXTS[1:3])
    assert open_index(other, tmp_path / "place").longest(["our discontent"])[0] < 5


def test_a_damaged_index_is_refused(tmp_path: Path) -> None:
    index = build_in(tmp_path / "a", TEXTS)
    file = tmp_path / "a" / "suffixes-0.bin"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"suffixes-0\.bin: has .* delete its folder"):
        index.longest(["the winter"])
    file.unlink()
    with pytest.raises(DataError, match=r"suffixes-0\.bin: can't be read"):
        index.longest(["the winter"])
    manifest = json.loads((tmp_path / "a" / MANIFEST).read_text())
    (tmp_path / "a" / MANIFEST).write_text(json.dumps({**manifest, "version": 0}))
    with pytest.raises(DataError, match="another version"):
        TrainingIndex(tmp_path / "a")
    with pytest.raises(DataError, match="can't be read as an index"):
        TrainingIndex(tmp_path / "none")


MEASURED = """
import sys
from pathlib import Path
import numpy as np
from gradus.hardware import peak_memory_mb
from gradus.writing.index import TrainingIndex, build
draw = np.random.default_rng(0)
vocabulary = ["".join(draw.choice(list("abcdefghijklmnop"), n)) for n in draw.integers(2, 9, 5000)]
odds = 1 / np.arange(1, 5001)
def texts():
    draw = np.random.default_rng(1)
    for _ in range(int(sys.argv[2])):
        yield " ".join(draw.choice(vocabulary, 3500, p=odds / odds.sum()))
before = peak_memory_mb()
build(texts, Path(sys.argv[1]))
print(peak_memory_mb() - before)
"""


@pytest.mark.slow
def test_memory_doesnt_grow_with_the_training_text(tmp_path: Path) -> None:
    grown = []
    for documents in (300, 1000):
        folder = tmp_path / str(documents)
        folder.mkdir()
        command = [sys.executable, "-c", MEASURED, str(folder), str(documents)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        grown.append(float(done.stdout))
        assert TrainingIndex(folder).bytes > documents * 15_000
    assert 0 < grown[1] < 1.15 * grown[0]
    assert grown[1] < 400
