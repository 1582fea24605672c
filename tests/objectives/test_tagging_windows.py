from __future__ import annotations

import itertools
import re
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from gradus.data.words import find_words
from gradus.errors import CheckpointError
from gradus.objectives.tagging_windows import Windowed, WordEncoder, owners, windows
from objectives.tokenizers_of_all_kinds import KINDS, SENTENCES

UNKNOWN = 2
kinds = st.sampled_from(sorted(KINDS))


@cache
def tokenizer(kind: str) -> Tokenizer:
    return KINDS[kind]()


def encoder(kind: str, max_tokens: int = 64, overlap: int = 8) -> WordEncoder:
    return WordEncoder(tokenizer(kind), max_tokens=max_tokens, overlap=overlap, unknown=UNKNOWN)


def by_space(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(m.span() for m in re.finditer(r"\S+", text))


def bare(kind: str, text: str) -> list[int]:
    ids: list[int] = tokenizer(kind).encode(text, add_special_tokens=False).ids
    return ids


def of_words(made: Windowed) -> list[list[int]]:
    """The tokens of each word, in the words' order, as the windows that own them hold them."""
    starts = np.concatenate([[0], np.cumsum(made.owned)])
    found: list[list[int]] = [[] for _ in made.words]
    for window, ids in enumerate(made.ids):
        for row in range(starts[window], starts[window + 1]):
            first, size = int(made.first[row]), int(made.sizes[row])
            found[int(made.words[row])] = ids[first : first + size]
    return found


sizes = st.lists(st.integers(0, 6), min_size=1, max_size=30)


@given(sizes, st.integers(6, 20), st.integers(0, 10))
def test_windows_cover_all_and_none_is_too_long(of: list[int], room: int, overlap: int) -> None:
    overlap = min(overlap, room - 1)
    cuts = windows(of, room, overlap)
    assert cuts[0][0] == 0
    assert cuts[-1][1] == len(of)
    for start, end in cuts:
        assert end > start
        assert sum(of[start:end]) <= room
    for (start, end), (begin, reach) in itertools.pairwise(cuts):
        assert start < begin <= end < reach
        shared = sum(of[begin:end])
        if shared < overlap and begin > start + 1:
            # A longer overlap would leave no room for the unit after the window.
            assert sum(of[begin - 1 : end + 1]) > room


@given(sizes, st.integers(6, 20), st.integers(0, 10))
def test_each_unit_belongs_where_it_has_most_context(
    of: list[int], room: int, overlap: int
) -> None:
    cuts = windows(of, room, min(overlap, room - 1))
    found = owners(of, cuts)
    for unit, owner in enumerate(found):

        def context(window: tuple[int, int], unit: int = unit) -> float:
            start, end = window
            before = sum(of[start:unit]) if start else sum(of)
            after = sum(of[unit + 1 : end]) if end < len(of) else sum(of)
            return min(before, after)

        holding = [i for i, (a, b) in enumerate(cuts) if a <= unit < b]
        best = max(context(cuts[i]) for i in holding)
        assert owner == next(i for i in holding if context(cuts[i]) == best)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("sentence", SENTENCES)
def test_tokens_are_those_of_the_whole_text(kind: str, sentence: str) -> None:
    made = encoder(kind)([sentence], [by_space(sentence)])
    assert made.ids == [tokenizer(kind).encode(sentence).ids]
    assert list(itertools.chain(*of_words(made))) == bare(kind, sentence)


@pytest.mark.parametrize("kind", ["bert", "gpt2", "roberta"])
@pytest.mark.parametrize("sentence", SENTENCES)
def test_first_tokens_are_where_the_tokenizers_own_offsets_put_them(
    kind: str, sentence: str
) -> None:
    coded = tokenizer(kind).encode(sentence)
    words = by_space(sentence)
    made = encoder(kind)([sentence], [words])
    # A token that holds the space before a word, or is nothing else, is the word's.
    places = [
        next(i for i, (a, b) in enumerate(coded.offsets) if b > a >= start - 1 and b > start - 1)
        for start, _ in words
    ]
    assert made.first.tolist() == places


@given(kinds, st.lists(st.text(max_size=40), min_size=1, max_size=4), st.integers(12, 40))
def test_every_word_is_predicted_once_from_tokens_of_its_own(
    kind: str, texts: list[str], max_tokens: int
) -> None:
    words = [find_words(text) for text in texts]
    made = encoder(kind, max_tokens, overlap=4)(texts, words)
    flat = [text[a:b] for text, of in zip(texts, words, strict=True) for a, b in of]
    assert sorted(made.words.tolist()) == list(range(len(flat)))
    assert made.lengths.tolist() == [len(of) for of in words]
    assert all(len(ids) <= max_tokens for ids in made.ids)
    assert all(len(a) == len(b) for a, b in zip(made.ids, made.shapes, strict=True))
    assert (made.owned > 0).all()
    special = len(tokenizer(kind).encode("of").ids) - len(bare(kind, "of"))
    for word, tokens in zip(flat, of_words(made), strict=True):
        whole = [bare(kind, word), bare(kind, f" {word}")]
        cut = [ids[: max_tokens - special] or [UNKNOWN] for ids in whole]
        assert tokens in cut


@given(kinds, st.integers(8, 24), st.integers(0, 12), st.integers(1, 60))
def test_a_long_text_is_read_in_stretches_of_itself(
    kind: str, max_tokens: int, overlap: int, count: int
) -> None:
    text = " ".join(SENTENCES[0].split()[i % 9] for i in range(count))
    words = by_space(text)
    made = encoder(kind, max_tokens, overlap)([text], [words])
    whole = tokenizer(kind).encode(text).ids
    assert made.cut == (len(whole) > max_tokens)
    assert list(itertools.chain(*of_words(made))) == bare(kind, text)
    special = len(whole) - len(bare(kind, text))
    for ids in made.ids:
        inside = ids[whole.index(bare(kind, text)[0]) :][: len(ids) - special]
        assert any(
            whole[i : i + len(inside)] == inside for i in range(len(whole) - len(inside) + 1)
        )


def test_a_word_that_the_tokenizer_drops_is_unknown() -> None:
    made = encoder("bert")(["a \x00 b"], [((0, 1), (2, 3), (4, 5))])
    assert made.dropped == 1
    assert of_words(made)[1] == [UNKNOWN]
    assert made.owned.tolist() == [3]


def test_what_stands_between_words_is_context() -> None:
    text = "Peter lives in Brussels"
    made = encoder("bert")([text], [((15, 23),)])
    assert made.ids == [tokenizer("bert").encode(text).ids]
    assert of_words(made) == [bare("bert", "Brussels")]


def test_a_word_longer_than_a_window_is_cut_and_still_predicted() -> None:
    text = "a " + "x" * 200 + " b"
    made = encoder("gpt2", max_tokens=10, overlap=3)([text], [by_space(text)])
    assert sorted(made.words.tolist()) == [0, 1, 2]
    assert max(len(ids) for ids in made.ids) <= 10
    assert made.cut == 1


def test_texts_without_words_have_no_window() -> None:
    made = encoder("bert")(["", "  ", "a"], [(), (), ((0, 1),)])
    assert made.lengths.tolist() == [0, 0, 1]
    assert made.text.tolist() == [2]


def test_no_room_for_a_word_is_an_error() -> None:
    with pytest.raises(CheckpointError, match="special tokens leave no room"):
        encoder("bert", max_tokens=2)


def test_the_tokenizer_handed_in_is_left_as_it_was() -> None:
    own = tokenizer("bert")
    own.enable_truncation(3)
    try:
        made = encoder("bert")([SENTENCES[0]], [by_space(SENTENCES[0])])
        assert len(made.ids[0]) > 3
        assert len(own.encode(SENTENCES[0]).ids) == 3
    finally:
        own.no_truncation()
