"""Slices against the rest: exact where it can be, permuted elsewhere, Holm over all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from gradus.metrics import get
from gradus.metrics.base import Predictions
from gradus.metrics.repeated import Repeated
from gradus.stats.slices import holm, worse

LABELS = ("a", "b")


def made(right: np.ndarray) -> Predictions:
    gold = np.arange(len(right)) % 2
    predicted = np.where(right, gold, 1 - gold)
    sure = np.log(np.where(np.arange(2)[None] == predicted[:, None], 0.8, 0.2))
    return Predictions(gold, predicted, sure, LABELS, tuple(map(str, range(len(right)))))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(p_values: list[float]) -> None:
    """A hypothesis falls where every set of hypotheses that holds it does."""
    every = range(len(p_values))
    sets = [s for size in every for s in itertools.combinations(every, size + 1)]
    expected = [
        max(min(1.0, len(s) * min(p_values[j] for j in s)) for s in sets if i in s) for i in every
    ]
    np.testing.assert_allclose(holm(p_values), expected)


def test_fishers_exact_test_for_shares() -> None:
    rng = np.random.default_rng(0)
    inside = rng.random(200) < 0.2
    right = rng.random(200) < np.where(inside, 0.6, 0.85)
    gap, p_value = worse(get("accuracy"), made(right), inside)
    table = [
        [(right & inside).sum(), (~right & inside).sum()],
        [(right & ~inside).sum(), (~right & ~inside).sum()],
    ]
    assert p_value == pytest.approx(scipy_stats.fisher_exact(table, alternative="less").pvalue)
    assert gap == pytest.approx(right[inside].mean() - right[~inside].mean())


def test_a_permutation_elsewhere_agrees_with_fisher() -> None:
    """F1 over the pooled decisions of two seeds that say the same is the accuracy."""
    rng = np.random.default_rng(1)
    inside = rng.random(150) < 0.3
    items = made(rng.random(150) < np.where(inside, 0.7, 0.85))
    exact = worse(get("accuracy"), items, inside)
    drawn = worse(get("accuracy"), Repeated((items, items)), inside, draws=4000)
    assert drawn[0] == pytest.approx(exact[0])
    assert drawn[1] == pytest.approx(exact[1], abs=0.02)


def test_less_is_better_turns_the_question_round() -> None:
    rng = np.random.default_rng(2)
    inside = np.arange(200) < 50
    items = made(rng.random(200) < np.where(inside, 0.5, 0.95))
    assert worse(get("log_loss"), items, inside, draws=500)[1] < 0.01
    assert worse(get("log_loss"), items, ~inside, draws=500)[1] > 0.9


def test_false_finds_are_rare() -> None:
    """Six slices of items that are all alike: at most 5 % of such tables name any."""
    rng = np.random.default_rng(3)
    named = 0
    for _ in range(300):
        items = made(rng.random(120) < 0.8)
        slices = rng.integers(0, 6, 120)
        found = [worse(get("accuracy"), items, slices == i)[1] for i in range(6)]
        named += min(holm(found)) <= 0.05
    assert scipy_stats.binom.sf(named - 1, 300, 0.05) > 0.01


def test_a_slice_without_a_value() -> None:
    items = made(np.ones(20, dtype=bool))
    gap, p_value = worse(get("recall[b]", LABELS), items, items.gold == 0)
    assert np.isnan(gap)
    assert np.isnan(p_value)
