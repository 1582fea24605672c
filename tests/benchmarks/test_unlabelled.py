"""The items that documents are taken as."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.benchmarks.unlabelled import BLOCK, FEW, CorpusItems, block_ends
from gradus.data.corpora import Documents, load_corpus


@given(st.text(st.sampled_from("ab \né国"), max_size=400), st.integers(2, 60))
def test_blocks_are_the_whole_text_and_none_is_small_or_large(text: str, size: int) -> None:
    ends = block_ends(text, size)
    assert ends[-1] == len(text)
    assert ends == sorted(set(ends))
    lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    assert all(length >= size for length in lengths[:-1])
    assert all(length < 1.5 * size + max(size // 10, 2) + 1 for length in lengths)
    if len(lengths) > 1:
        assert lengths[-1] >= size // 2 - max(size // 10, 2)


def test_a_block_ends_with_a_line_else_with_a_word() -> None:
    assert block_ends("aaaa bbbb\ncccc dddd", 8)[0] == 10
    assert block_ends("aaaa bbb cccc dddddd", 8)[0] == 9
    assert block_ends("a" * 20, 8)[0] == 8


def split(folder: Path, texts: list[str]) -> Documents:
    rows = "\n".join(json.dumps({"text": t, "of": "abc"[i % 3]}) for i, t in enumerate(texts))
    (folder / "x.jsonl").write_text(rows + "\n", encoding="utf-8")
    config = {
        "source": {"file": "x.jsonl"},
        "columns": {"domain": "of"},
        "split": {"train": 0.2, "dev": 0.8},
    }
    corpus = load_corpus("x", config, folder=folder, seed=1, place=folder / "corpora")
    return corpus.splits["dev.gate"]


@pytest.mark.parametrize(("count", "unit"), [(40, "blocks"), (160, "documents")])
def test_items_of_documents(tmp_path: Path, count: int, unit: str) -> None:
    texts = [f"{n} " + "words and 字 more\n" * (7 * n) for n in range(count)]
    documents = split(tmp_path, texts)
    assert (len(documents) < FEW) == (unit == "blocks")
    items = CorpusItems.of(documents)
    assert items.unit == unit
    joined = ["".join(items.parts(row)) for row in range(len(documents))]
    assert joined == [document.text for document in documents]
    counts = items.counts()
    assert sum(counts["bytes"]) == documents.bytes
    assert sum(counts["characters"]) == sum(len(text) for text in joined)
    assert len(items) == len(items.ids) == len(set(items.ids)) == len(counts["words"])
    assert len(items.shown()) == len(items)
    of = items.members()
    assert set(of["domain"]) <= {"a", "b", "c"}
    assert all(len(slices) == len(items) for slices in of.values())
    assert str(BLOCK) in items.term or unit == "documents"


def test_a_sample_is_the_first_documents(tmp_path: Path) -> None:
    documents = split(tmp_path, [f"{n} words and more" for n in range(160)])
    items = CorpusItems.of(documents, 35)
    assert items.ids == tuple(document.id for document in documents)[:35]
    assert items.unit == "documents"
