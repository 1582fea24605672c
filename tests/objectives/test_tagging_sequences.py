from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.data import tags as reading
from gradus.errors import DataError
from gradus.objectives.tagging_sequences import (
    Scheme,
    Tagset,
    WordSpan,
    best_sequences,
    word_spans,
)
from gradus.objectives.tagging_shapes import SHAPES, shapes_of
from gradus.objectives.tagging_spans import spans_of
from gradus.records import Span

TYPES = ("LOC", "PER")
schemes: st.SearchStrategy[Scheme] = st.sampled_from(["iob2", "iobes"])


@st.composite
def sentences(draw: st.DrawFn) -> tuple[int, list[WordSpan]]:
    """A number of words and spans that don't overlap."""
    words = draw(st.integers(1, 9))
    cuts = sorted(draw(st.sets(st.integers(0, words), max_size=6)))
    return words, [
        WordSpan(a, b, draw(st.integers(0, len(TYPES) - 1)))
        for a, b in itertools.pairwise(cuts)
        if draw(st.booleans())
    ]


@given(sentences(), schemes)
def test_spans_come_back_from_their_tags(given: tuple[int, list[WordSpan]], scheme: Scheme) -> None:
    words, spans = given
    tagset = Tagset(TYPES, scheme)
    tags = tagset.encode(spans, words)
    assert tagset.decode(tags) == spans
    named = [tagset.tags[t] for t in tags]
    plain = [(s.first, s.end, TYPES[s.kind]) for s in spans]
    assert named == reading.write_tags(plain, words, scheme)
    assert reading.spans_of(named) == plain
    assert reading.breaks(named, scheme) == 0
    assert tagset.begins[tags[0]]
    assert tagset.ends[tags[-1]]
    assert all(tagset.follows[a, b] for a, b in itertools.pairwise(tags))


@pytest.mark.parametrize("scheme", ["iob2", "iobes"])
def test_what_is_legal_is_what_spans_can_give(scheme: Scheme) -> None:
    tagset = Tagset(TYPES, scheme)
    for tags in itertools.product(range(len(tagset)), repeat=3):
        legal = (
            tagset.begins[tags[0]]
            and tagset.ends[tags[-1]]
            and all(tagset.follows[a, b] for a, b in itertools.pairwise(tags))
        )
        assert legal == (reading.breaks([tagset.tags[t] for t in tags], scheme) == 0)


def test_tags_stand_type_by_type() -> None:
    assert Tagset(TYPES, "iob2").tags == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert Tagset(["X"], "iobes").tags == ("O", "B-X", "I-X", "E-X", "S-X")


@pytest.mark.parametrize("scheme", ["iob2", "iobes"])
@pytest.mark.parametrize("seed", range(6))
def test_the_best_legal_sequence_is_that_of_trying_all(scheme: Scheme, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tagset = Tagset(["A"] if scheme == "iobes" else TYPES, scheme)
    lengths = rng.integers(0, 5, 12)
    scores = rng.normal(size=(int(lengths.sum()), len(tagset)))
    found = best_sequences(scores, lengths, tagset)
    start = 0
    for length in lengths:
        if not length:
            continue
        rows = scores[start : start + length]
        names = [list(t) for t in itertools.product(range(len(tagset)), repeat=int(length))]
        legal = [t for t in names if reading.breaks([tagset.tags[i] for i in t], scheme) == 0]
        best = max(legal, key=lambda t: sum(rows[i, tag] for i, tag in enumerate(t)))
        assert found[start : start + length].tolist() == best
        start += length


def test_an_end_without_a_beginning_is_never_said() -> None:
    """The best tags one by one would be E-LOC and S-LOC in a row; no spans give those."""
    tagset = Tagset(["LOC"], "iobes")
    probabilities = np.array([[0.1, 0.05, 0.05, 0.6, 0.2], [0.1, 0.1, 0.1, 0.1, 0.6]])
    found = spans_of(np.log(probabilities), [((0, 4), (5, 9))], tagset)
    assert found == [(Span(0, 4, "LOC"), Span(5, 9, "LOC"))]
    assert [s.score for s in found[0]] == pytest.approx([0.2, 0.6])


def test_a_score_is_the_product_of_its_words_probabilities() -> None:
    tagset = Tagset(["LOC"], "iobes")
    probabilities = np.full((3, 5), 0.01)
    probabilities[[0, 1, 2], [1, 3, 0]] = [0.8, 0.7, 0.9]
    (found,) = spans_of(np.log(probabilities), [((0, 3), (4, 8), (9, 12))], tagset)
    assert found == (Span(0, 8, "LOC"),)
    assert found[0].score == pytest.approx(0.56)


def test_texts_without_words_have_no_spans() -> None:
    tagset = Tagset(TYPES, "iobes")
    assert spans_of(np.empty((0, len(tagset))), [(), ()], tagset) == [(), ()]


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=8),
    st.lists(st.integers(0, 2), min_size=8, max_size=8),
    st.data(),
)
def test_a_span_takes_every_word_that_it_touches(
    sizes: list[int], gaps: list[int], data: st.DataObject
) -> None:
    words, at = [], 0
    for size, gap in zip(sizes, gaps, strict=False):
        words.append((at, at + size))
        at += size + gap
    start = data.draw(st.integers(0, at))
    end = data.draw(st.integers(start, at + 1))
    touched = [i for i, (a, b) in enumerate(words) if set(range(a, b)) & set(range(start, end))]
    span = Span(start, end, "LOC")
    if not touched:
        with pytest.raises(DataError, match="holds no word"):
            word_spans([span], words, {"LOC": 0})
    else:
        assert word_spans([span], words, {"LOC": 0}) == [WordSpan(touched[0], touched[-1] + 1, 0)]


def test_two_spans_on_one_word_are_refused() -> None:
    spans = [Span(0, 2, "LOC"), Span(2, 5, "PER")]
    with pytest.raises(DataError, match="shares a word with the one before"):
        word_spans(spans, [(0, 5)], {"LOC": 0, "PER": 1})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["Brussels", "is", "in", "Belgium"], "initial lower lower initial"),
        (["NATO", "and", "U.N.", "met"], "capitals lower capitals lower"),
        (["SOCCER", "-", "JAPAN", "WIN"], "shouted punctuation shouted shouted"),
        (["J.", "McDonald", "iPhone"], "capital mixed mixed"),
        (["German-born", "1996-08-22", "B2B", "4th"], "initial number code digits"),
        (["酒店", "%", "½"], "uncased punctuation number"),
        (["ǅungla"], "initial"),
        ([""], "punctuation"),
        ([], ""),
    ],
)
def test_shapes_by_example(words: list[str], expected: str) -> None:
    assert " ".join(SHAPES[s] for s in shapes_of(words)) == expected


@given(st.lists(st.text(max_size=6), max_size=5))
def test_every_word_has_a_shape(words: list[str]) -> None:
    shapes = shapes_of(words)
    assert len(shapes) == len(words)
    assert all(0 < s < len(SHAPES) for s in shapes)
