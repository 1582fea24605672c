"""Blocks: every token once, nothing across documents that are apart, cuts that move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.errors import TrainingError
from gradus.training.blocks import (
    NONE,
    Blocks,
    CausalBlocks,
    Cutting,
    Joined,
    MaskedBlocks,
    Mixture,
)
from gradus.training.masking import Masking

END, FRONT, BACK, MASK, SPECIALS, VOCABULARY = 0, 1, 2, 3, 4, 50


@dataclass
class Documents:
    """A tokenised corpus in memory; every token of every document is another number."""

    lengths: np.ndarray
    end: int | None
    tokens: np.ndarray

    @classmethod
    def of(cls, sizes: list[int], *, ends: bool) -> Documents:
        tokens, low = [], SPECIALS
        for size in sizes:
            tokens.append(np.arange(low, low + size))
            low += size
            if ends:
                tokens.append(np.array([END]))
        lengths = np.array(sizes, dtype=np.int64) + ends
        return cls(lengths, END if ends else None, np.concatenate(tokens).astype(np.uint16))

    @property
    def total(self) -> int:
        return len(self.tokens)

    def ids(self, start: int, stop: int) -> np.ndarray:
        assert 0 <= start <= stop <= self.total
        return self.tokens[start:stop]


sizes = st.lists(st.integers(1, 40), min_size=1, max_size=12).filter(lambda s: sum(s) > 2)


@given(sizes=sizes, ends=st.booleans(), block=st.integers(2, 17), apart=st.booleans())
def test_evaluation_predicts_every_token_once_from_the_one_before(
    sizes: list[int], ends: bool, block: int, apart: bool
) -> None:
    stream = Documents.of(sizes, ends=ends)
    blocks = CausalBlocks(stream, block, Cutting(whole=True, apart=apart))
    batch = blocks.batch(range(len(blocks)))
    told = batch.targets.numpy() != NONE
    targets, places = batch.targets.numpy()[told], batch.places[told]
    order = np.argsort(places)
    begins = np.cumsum(stream.lengths) - stream.lengths
    expected = np.arange(stream.total)
    if not ends:
        # Without a token between documents nothing predicts a first token.
        expected = np.setdiff1d(expected, begins if apart else [0])
    assert np.array_equal(places[order], expected)
    assert np.array_equal(targets[order], stream.tokens[expected])
    before = np.where(places > 0, stream.tokens[np.maximum(places - 1, 0)], END)
    assert np.array_equal(batch.ids.numpy()[told], before)
    assert np.array_equal(blocks.lengths, np.bincount(batch.owners, minlength=len(blocks)))


@given(sizes=sizes, ends=st.booleans(), block=st.integers(2, 17))
def test_documents_apart_share_no_segment(sizes: list[int], ends: bool, block: int) -> None:
    stream = Documents.of(sizes, ends=ends)
    blocks = CausalBlocks(stream, block, Cutting(whole=True, apart=True))
    for row in range(len(blocks)):
        segments = blocks.segments(row)
        for part in segments:
            told = part.places[part.targets != NONE]
            assert len(set(blocks.document_of(told).tolist())) <= 1
            if ends:
                # The end of a document is seen first by the next one, and by nothing later.
                assert END not in part.ids[1:]
        assert sum(len(part.ids) for part in segments) == blocks.lengths[row]


@given(sizes=sizes, ends=st.booleans(), block=st.integers(2, 17), epoch=st.integers(0, 5))
def test_training_blocks_are_equally_long_and_overlap_nowhere(
    sizes: list[int], ends: bool, block: int, epoch: int
) -> None:
    blocks = CausalBlocks(Documents.of(sizes, ends=ends), block, Cutting(seed=4))
    blocks.begin_epoch(epoch)
    assert len(set(blocks.lengths.tolist())) == 1
    places = blocks.batch(range(len(blocks))).places
    assert len(set(places.tolist())) == len(places) == blocks.total
    assert blocks.usable - blocks.total < 2 * block


def test_cuts_move_from_epoch_to_epoch_and_are_found_again() -> None:
    stream = Documents.of([2000], ends=True)
    blocks, again = (CausalBlocks(stream, 32, Cutting(seed=9)) for _ in range(2))
    shifts = []
    for epoch in range(6):
        blocks.begin_epoch(epoch)
        shifts.append(int(blocks.batch([0]).places[0]))
    again.begin_epoch(3)
    assert int(again.batch([0]).places[0]) == shifts[3]
    assert len(set(shifts)) > 3
    fixed = CausalBlocks(stream, 32, Cutting(seed=9, whole=True))
    fixed.begin_epoch(3)
    assert int(fixed.batch([0]).places[0]) == 0


def test_a_document_limit_ends_at_a_document() -> None:
    stream = Documents.of([10, 20, 30], ends=True)
    blocks = CausalBlocks(stream, 8, Cutting(whole=True, documents=2))
    assert blocks.total == 11 + 21
    assert set(blocks.document_of(blocks.batch(range(len(blocks))).places)) == {0, 1}


def masked(stream: Documents, block: int, how: Cutting) -> MaskedBlocks:
    special = np.zeros(600, dtype=np.bool_)
    special[:SPECIALS] = True
    masking = Masking(0.15, "token", MASK, special)
    return MaskedBlocks(stream, block, how, masking=masking, around=(FRONT, BACK))


@given(sizes=sizes, ends=st.booleans(), block=st.integers(4, 17), apart=st.booleans())
def test_masked_blocks_stand_between_their_edges_and_hide_what_they_ask(
    sizes: list[int], ends: bool, block: int, apart: bool
) -> None:
    stream = Documents.of(sizes, ends=ends)
    blocks = masked(stream, block, Cutting(whole=True, apart=apart))
    seen = []
    for row in range(len(blocks)):
        for part in blocks.segments(row):
            assert (part.ids[0], part.ids[-1]) == (FRONT, BACK)
            text, targets, places = part.ids[1:-1], part.targets[1:-1], part.places[1:-1]
            original = stream.tokens[places]
            assert np.array_equal(text[targets == NONE], original[targets == NONE])
            assert np.array_equal(targets[targets != NONE], original[targets != NONE])
            if apart:
                assert len(set(blocks.document_of(places).tolist())) == 1
            seen.append(places)
    expected = np.arange(stream.total)
    if apart and ends:
        expected = expected[stream.tokens != END]
    assert np.array_equal(np.concatenate(seen), expected)


def test_masks_are_drawn_anew_in_each_epoch_of_training_alone() -> None:
    stream = Documents.of([300], ends=False)
    moving, fixed = (masked(stream, 32, Cutting(seed=1, whole=w)) for w in (False, True))
    drawn = []
    for epoch in (0, 1, 0):
        moving.begin_epoch(epoch)
        drawn.append(moving.batch([2]).targets.tolist())
    assert drawn[0] == drawn[2] != drawn[1]
    assert fixed.batch([2]).targets.tolist() == fixed.batch([2]).targets.tolist()


def parts(*sizes: int) -> list[Blocks]:
    return [
        CausalBlocks(Documents.of([size], ends=True), 8, Cutting(seed=number))
        for number, size in enumerate(sizes)
    ]


@settings(max_examples=50)
@given(
    sizes=st.lists(st.integers(8, 400), min_size=1, max_size=4),
    weights=st.lists(st.floats(0.01, 10), min_size=4, max_size=4),
    epochs=st.integers(1, 6),
)
def test_a_mixture_gives_each_corpus_its_share_and_wastes_nothing(
    sizes: list[int], weights: list[float], epochs: int
) -> None:
    corpora = parts(*sizes)
    mixture = Mixture(corpora, weights[: len(sizes)], seed=3)
    shares = np.array(weights[: len(sizes)])
    assert len(mixture) == sum(map(len, corpora)) == mixture.quotas.sum()
    assert (np.abs(mixture.quotas - shares / shares.sum() * len(mixture)) <= 1).all()
    seen: list[list[int]] = [[] for _ in sizes]
    for epoch in range(epochs):
        mixture.begin_epoch(epoch)
        for part, row in zip(mixture._part, mixture._row, strict=True):
            seen[part].append(int(row))
    for number, rows in enumerate(seen):
        # Pass by pass: no block comes again before every other has come.
        counts = np.bincount(rows, minlength=len(corpora[number]))
        assert counts.max() - counts.min() <= 1
    assert mixture.batch(range(len(mixture))).ids.numel() == mixture.total


def test_one_corpus_alone_is_read_whole() -> None:
    (corpus,) = parts(500)
    mixture = Mixture([corpus], [1.0], seed=0)
    assert sorted(mixture._row.tolist()) == list(range(len(corpus)))


def test_joined_blocks_keep_their_order_and_know_their_corpus() -> None:
    first, second = parts(30, 60)
    joined = Joined([first, second])
    rows = np.array([0, len(first), len(joined) - 1])
    assert joined.part_of(rows).tolist() == [0, 1, 1]
    batch = joined.batch(rows)
    alone = [first.batch([0]), second.batch([0]), second.batch([len(second) - 1])]
    assert batch.ids.tolist() == [token for one in alone for token in one.ids.tolist()]
    assert batch.owners.tolist() == [0] * 8 + [1] * 8 + [2] * 8


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(TrainingError, match="no tokens"):
        CausalBlocks(Documents.of([1], ends=False), 8, Cutting())
    with pytest.raises(TrainingError, match="special"):
        masked(Documents.of([9], ends=False), 2, Cutting())
