"""Diversity of a set against counting by hand, nltk and scipy; its spread against leaving out."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gradus.metrics.distinct import Distinct2
from gradus.metrics.self_bleu import SelfBleu
from gradus.metrics.writings import ColumnRatio, Writings
from gradus.stats.intervals import Interval, interval
from gradus.writing.diversity import distinct, entropy, repeated, self_bleu

WORDS = st.lists(st.sampled_from("abcde"), max_size=12)
SETS = st.lists(st.tuples(WORDS, st.integers(0, 4)), min_size=1, max_size=9)


def grouped(rows: list[tuple[list[str], int]]) -> tuple[list[list[str]], np.ndarray]:
    _, groups = np.unique([group for _, group in rows], return_inverse=True)
    return [words for words, _ in rows], groups.reshape(-1)


def grams(words: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]


def distinct_by_hand(texts: list[list[str]], size: int) -> float:
    every = [gram for text in texts for gram in grams(text, size)]
    return len(set(every)) / len(every) if every else math.nan


def entropy_by_hand(texts: list[list[str]]) -> float:
    every = [word for text in texts for word in text]
    counts = np.unique(every, return_counts=True)[1] if every else np.zeros(0)
    return float(stats.entropy(counts, base=2)) if every else math.nan


def self_bleu_by_hand(texts: list[list[str]]) -> float:
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    texts = [text for text in texts if text]
    if len(texts) < 2:
        return math.nan
    smooth = SmoothingFunction().method1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = [
            sentence_bleu(texts[:i] + texts[i + 1 :], text, smoothing_function=smooth)
            for i, text in enumerate(texts)
        ]
    return float(np.mean(scores))


def check(found: np.ndarray, texts: list[list[str]], groups: np.ndarray, by_hand) -> None:  # type: ignore[no-untyped-def]
    """The mean is the number of the set, the group sums spread as the jackknife's values do."""
    value = by_hand(texts)
    known = np.isfinite(found)
    if math.isnan(value):
        assert not known.any()
        return
    assert found[known].mean() == pytest.approx(value, abs=1e-12)
    present = np.unique(groups[known])
    if len(present) < 2:
        return
    without = np.array([by_hand([t for t, g in zip(texts, groups, strict=True) if g != one])
                        for one in present])  # fmt: skip
    if not np.isfinite(without).all():
        return
    number = len(present)
    jackknife = math.sqrt((number - 1) / number * ((without - without.mean()) ** 2).sum())
    sums = np.array([(found - value)[known & (groups == one)].sum() for one in present])
    spread = math.sqrt((sums**2).sum() * number / (number - 1)) / known.sum()
    assert spread == pytest.approx(jackknife, abs=1e-12)


@settings(deadline=None)
@given(SETS, st.integers(1, 4))
def test_distinct_is_that_of_counting(rows: list[tuple[list[str], int]], size: int) -> None:
    texts, groups = grouped(rows)
    found = distinct(texts, groups, size)
    check(found, texts, groups, lambda some: distinct_by_hand(some, size))


@settings(deadline=None)
@given(SETS)
def test_entropy_is_scipys(rows: list[tuple[list[str], int]]) -> None:
    texts, groups = grouped(rows)
    check(entropy(texts, groups), texts, groups, entropy_by_hand)


@settings(deadline=None, max_examples=60)
@given(SETS)
def test_self_bleu_is_nltks(rows: list[tuple[list[str], int]]) -> None:
    texts, groups = grouped(rows)
    check(self_bleu(texts, groups), texts, groups, self_bleu_by_hand)


def test_self_bleu_of_many_texts_is_taken_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    texts = [draw.choice(list("abcdefgh"), n).tolist() for n in draw.integers(1, 20, 40)]
    groups = np.arange(40) // 2
    whole = self_bleu(texts, groups)
    monkeypatch.setattr("gradus.writing.diversity._AT_ONCE", 130)
    np.testing.assert_allclose(self_bleu(texts, groups), whole, rtol=1e-13)
    check(whole, texts, groups, self_bleu_by_hand)


@given(st.lists(WORDS, max_size=6), st.integers(1, 4))
def test_repetition_is_what_stood_there_before(texts: list[list[str]], size: int) -> None:
    again, every = repeated(texts, size)
    assert again.tolist() == [len(grams(t, size)) - len(set(grams(t, size))) for t in texts]
    assert every.tolist() == [len(grams(t, size)) for t in texts]


def test_texts_without_words_have_no_part() -> None:
    texts = [["a", "b"], [], ["b", "c"], []]
    groups = np.arange(4)
    found = self_bleu(texts, groups)
    assert np.isnan(found[[1, 3]]).all()
    assert np.nanmean(found) == pytest.approx(self_bleu_by_hand(texts))
    assert np.isnan(self_bleu([["a"], []], np.arange(2))).all()
    assert np.isnan(distinct([[], []], np.arange(2), 1)).all()


def measured(metric: ColumnRatio, column: np.ndarray) -> Interval:
    number = len(column)
    texts, ids = ("",) * number, tuple(f"{i}/0" for i in range(number))
    items = Writings(texts, texts, (None,) * number, ids, {metric.columns[0]: column})
    return interval(metric, items, draws=200)


@pytest.mark.parametrize("number", [2, 12])
def test_a_writer_that_always_writes_the_same_isnt_known_to_the_point(number: int) -> None:
    same = [["to", "be", "or", "not"]] * number
    found = measured(Distinct2(), distinct(same, np.arange(number), 2))
    unseen = 1 - 0.025 ** (1 / number)  # what may yet come, by the rule of a zero numerator
    assert found.low == pytest.approx((1 - unseen) / number)
    assert found.high == pytest.approx(1 / number + unseen * (1 - 1 / number))


def test_what_a_single_text_has_says_nothing_of_the_spread() -> None:
    texts, groups = [["a", "b", "a", "b"], ["c"], []], np.arange(3)
    found = distinct(texts, groups, 2)
    assert found[0] == pytest.approx(2 / 3)
    assert np.isnan(found[1:]).all()
    told = measured(Distinct2(), found)
    assert (told.low, told.high) == (0.0, 1.0)


def drawn(draw: np.random.Generator, number: int) -> list[list[str]]:
    """Texts of a writer with a favourite topic each, so that texts differ among one another."""
    topics = draw.integers(0, 8, number)
    ranks = np.minimum(draw.zipf(1.4, (number, 30)), 400)
    own = draw.random((number, 30)) < 0.3
    names = np.where(own, ranks + 1000 * (topics[:, None] + 1), ranks)
    return [[str(name) for name in row] for row in names]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "compute"),
    [
        (Distinct2(), lambda texts: distinct(texts, np.arange(len(texts)), 2)),
        (SelfBleu(), lambda texts: self_bleu(texts, np.arange(len(texts)))),
    ],
)
def test_intervals_hold_the_expected_number_of_such_a_set(metric, compute) -> None:  # type: ignore[no-untyped-def]
    number, runs, draw = 40, 150, np.random.default_rng(5)
    truth = np.mean([compute(drawn(draw, number)).mean() for _ in range(400)])
    held = 0
    for run in range(runs):
        columns = {metric.columns[0]: compute(drawn(draw, number))}
        texts = ("",) * number
        ids = tuple(f"{i}/0" for i in range(number))
        items = Writings(texts, texts, (None,) * number, ids, columns)
        found = interval(metric, items, draws=400, seed=run)
        held += found.low <= truth <= found.high
    # 95 % less three standard errors. With half as many texts self-BLEU's holds it in 90 to 93 %.
    assert held / runs >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)
