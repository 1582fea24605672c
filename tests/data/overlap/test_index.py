"""Dirty items and shared 8-grams against sets of n-grams by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.data.overlap.bloom import Bloom
from gradus.data.overlap.index import Index, paper_n
from gradus.data.overlap.ngrams import Piece, batches

SENTENCE = "the river rose over both banks before the night was out and nobody slept"


def seen(index: Index, documents: list[str], at_once: int = 1 << 16) -> Index:
    pieces = (Piece(text, number) for number, text in enumerate(documents))
    for batch in batches(pieces, index.sizes, at_once=at_once):
        index.see(batch)
    return index


def grams(text: str, size: int) -> list[tuple[str, ...]]:
    found = text.split()
    return [tuple(found[i : i + size]) for i in range(len(found) - size + 1)]


texts = st.lists(st.lists(st.sampled_from("ab"), max_size=14).map(" ".join), max_size=6)


@given(
    texts.filter(bool),
    texts,
    st.sampled_from([2, 8, 9, 13]),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([0, 3, 2**64 - 1]),
    st.integers(1, 40),
)
def test_items_are_dirty_as_sets_say(
    items: list[str], corpus: list[str], n: int, most: int | None, mask: int, at_once: int
) -> None:
    made = Index(items, n=n, most_documents=most, mask=np.uint64(mask))
    found = seen(made, corpus, at_once).overlap()

    def counts(gram: tuple[str, ...]) -> int:
        return sum(gram in grams(text, len(gram)) for text in corpus)

    for i, text in enumerate(items):
        size = min(n, len(text.split()))
        judged = size >= min(8, n)
        there = [counts(gram) for gram in grams(text, size)] if judged else []
        dirty = any(count > 0 and (most is None or count <= most) for count in there)
        assert found.dirty[i] == dirty
        assert found.frequent[i] == (any(there) and not dirty)
        assert found.short[i] == (not judged)
    eights = [gram for text in items for gram in grams(text, 8)]
    assert found.eights == len(eights)
    assert found.shared == sum(counts(gram) > 0 for gram in eights)


@given(texts.filter(bool), texts)
def test_a_filter_finds_at_least_what_is_there(items: list[str], corpus: list[str]) -> None:
    made = seen(Index(items), corpus)
    bloom = Bloom(1_000)
    pieces = (Piece(text, number) for number, text in enumerate(corpus))
    for batch in batches(pieces, {8}):
        bloom.add(batch.grams[8][1])
    assert int(bloom.holds(made.eights).sum()) == made.overlap().shared


def test_case_and_punctuation_do_not_hide_a_leak() -> None:
    leaked = f"He said: {SENTENCE.upper().replace(' ', ', ')}!"
    found = seen(Index([SENTENCE, "something else altogether " * 5], n=13), [leaked]).overlap()
    assert found.dirty.tolist() == [True, False]


def test_chinese_is_judged_by_its_characters() -> None:
    item = "酒店位置很好，离地铁站近，早餐也不错，下次还会再来。"
    found = seen(Index([item, item[::-1]], n=13), [f"评论：{item}谢谢"]).overlap()
    assert found.dirty.tolist() == [True, False]


def test_an_ngram_does_not_run_from_one_item_or_document_into_the_next() -> None:
    half, other = "a b c d e f", "g h i j k l"
    assert not seen(Index([f"{half} {other}"], n=8), [half, other]).overlap().shared
    assert Index([half, other], n=8).overlap().eights == 0


def test_set_phrases_are_ignored_beyond_ten_documents() -> None:
    ten = seen(Index([SENTENCE], n=13), [SENTENCE] * 10).overlap()
    assert (ten.dirty.tolist(), ten.frequent.tolist()) == ([True], [False])
    more = seen(Index([SENTENCE], n=13), [SENTENCE] * 11).overlap()
    assert (more.dirty.tolist(), more.frequent.tolist()) == ([False], [True])
    # Twice in one document counts once.
    twice = seen(Index([SENTENCE], n=13), [f"{SENTENCE} {SENTENCE}"] * 9).overlap()
    assert twice.dirty.tolist() == [True]


@pytest.mark.parametrize(
    ("lengths", "n"), [([30] * 20, 13), ([3] * 20, 8), ([11] * 20, 11), ([], 13), ([0], 8)]
)
def test_n_is_the_papers(lengths: list[int], n: int) -> None:
    assert paper_n(np.array(lengths)) == n


def test_texts_without_words_are_too_short() -> None:
    found = seen(Index(["", "…"]), [SENTENCE]).overlap()
    assert found.short.all()
    assert not found.dirty.any()
