"""Intervals by effective numbers of items, by label shares and on stretched scales, and oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from gradus.metrics import get
from gradus.metrics.base import Predictions
from gradus.metrics.numbers import Numbers
from gradus.metrics.spansets import SpanSets
from gradus.records import Span
from gradus.stats import averages, effective, intervals, proportions, stretched


def binary(n: int, rng: np.random.Generator, *, ties: bool = False) -> Predictions:
    gold = rng.integers(0, 2, n)
    score = rng.normal(size=n) + gold
    if ties:
        score = np.round(score)
    rows = np.stack([-np.logaddexp(0, score), -np.logaddexp(0, -score)], axis=1)
    return Predictions(gold, rows.argmax(axis=1), rows, ("a", "b"))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", ["auroc[b]", "average_precision[b]"])
def test_moves_of_a_ranking_are_its_derivatives_by_the_weights(name: str, ties: bool) -> None:
    items = binary(40, np.random.default_rng(3), ties=ties)
    metric = get(name, items.labels)
    ((scores, positive),) = metric.columns(items)
    moves, bias = metric.moves(scores, positive)
    step = 1e-6
    up, down = (
        metric.weighted(items, np.ones((40, 40)) + sign * step * np.eye(40)) for sign in (1, -1)
    )
    assert moves == pytest.approx((up - down) / (2 * step), abs=1e-7)
    assert moves.sum() == pytest.approx(0, abs=1e-12)
    oracle = roc_auc_score if name.startswith("auroc") else average_precision_score
    assert metric(items) == pytest.approx(oracle(positive, scores))
    assert (bias == 0) == name.startswith("auroc")


def test_the_bias_taken_off_average_precision_is_the_one_it_has() -> None:
    rng = np.random.default_rng(5)
    metric = get("average_precision[b]", ("a", "b"))
    truth = metric(binary(200_000, rng))
    values, biases = [], []
    for _ in range(600):
        items = binary(40, rng)
        ((scores, positive),) = metric.columns(items)
        values.append(metric(items))
        biases.append(metric.moves(scores, positive)[1])
    off = np.mean(values) - truth
    assert off > 0.01
    assert off - np.mean(biases) == pytest.approx(0, abs=0.008)


def test_influence_of_numbers_is_the_derivative_by_the_share_of_the_weight() -> None:
    rng = np.random.default_rng(1)
    gold = rng.gamma(3.0, size=30)
    items = Numbers(gold, gold + rng.normal(size=30))
    weights, step = rng.integers(0, 4, (1, 30)).astype(float), 1e-6
    total = weights.sum()
    for name in ("rmse", "r2", "pearson"):
        metric = get(name)
        found = metric.influence(items, weights)
        assert found is not None
        assert float((weights * found).sum()) == pytest.approx(0, abs=1e-9)
        up, down = (metric.weighted(items, weights + s * step * np.eye(30)) for s in (1, -1))
        assert up is not None
        assert down is not None
        assert found[0] == pytest.approx((up - down) / (2 * step) * total, abs=1e-5), name


@given(st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.0, math.inf), (-math.inf, 1.0)]),
       st.floats(0.01, 0.99))  # fmt: skip
def test_a_scale_and_its_way_back_and_slope(ends: tuple[float, float], share: float) -> None:
    scale = stretched.Scale(*ends)
    bounded = [
        end if math.isfinite(end) else sign * 5.0 for end, sign in zip(ends, (-1, 1), strict=True)
    ]
    value = np.array([bounded[0] + share * (bounded[1] - bounded[0])])
    assert scale.back(float(scale.to(value)[0])) == pytest.approx(float(value[0]), abs=1e-9)
    step = 1e-7
    rise = (scale.to(value + step) - scale.to(value - step)) / (2 * step)
    assert scale.slope(value) == pytest.approx(rise, rel=1e-4)


def test_the_scale_of_a_correlation_is_fishers() -> None:
    scale = stretched.Scale(-1.0, 1.0)
    assert float(scale.to(np.array([0.3]))[0]) == pytest.approx(2 * math.atanh(0.3))


def test_a_perfect_fit_and_a_single_item_are_told() -> None:
    gold = np.arange(10.0)
    found = intervals.interval(get("rmse"), Numbers(gold, gold))
    assert (found.low, found.high) == (0.0, 0.0)
    one = intervals.interval(get("rmse"), Numbers(np.array([1.0]), np.array([2.0])))
    assert one.ends() == (0.0, None)


def spans(hits: list[int], misses: list[int]) -> SpanSets:
    """Texts with so many spans found and so many given another extent."""
    gold, predicted = [], []
    for found, missed in zip(hits, misses, strict=True):
        true = [Span(10 * i, 10 * i + 5, "x") for i in range(found + missed)]
        gold.append(tuple(true))
        said = true[:found] + [Span(s.start, s.end + 1, "x") for s in true[found:]]
        predicted.append(tuple(said))
    return SpanSets.of(gold, predicted, ["x"])


@pytest.mark.parametrize("name", ["span_f1", "span_precision", "span_recall"])
def test_spans_that_stand_alone_are_a_proportion(name: str) -> None:
    items = spans([1] * 160 + [0] * 40, [0] * 160 + [1] * 40)
    found = intervals.interval(get(name), items)
    assert found.method == "effective items"
    assert (found.low, found.high) == pytest.approx(proportions.shown(160, 200), abs=0.004)
    # Five spans a text, all found or all missed: a fifth of the items.
    clustered = intervals.interval(get(name), spans([5] * 32 + [0] * 8, [0] * 32 + [5] * 8))
    assert clustered.high - clustered.low > 2 * (found.high - found.low)


def test_spans_keep_their_width_where_no_error_was_seen() -> None:
    found = intervals.interval(get("span_f1"), spans([2] * 50, [0] * 50))
    assert found.high == 1.0
    assert 0.93 < found.low < 0.98


def test_shares_are_beta_where_there_is_one_label() -> None:
    draws = averages.shares(np.array([40.0]), np.array([10.0]), 8000, np.random.default_rng(0))
    wide = stats.beta(40.5, 10.5)
    assert draws.mean() == pytest.approx(wide.mean(), abs=0.01)
    assert draws.std() == pytest.approx(wide.std(), rel=0.08)


def test_labels_of_one_item_do_not_pass_for_sure() -> None:
    """Twenty labels with one item each: their mean is about as sure as a share of twenty items."""
    rng = np.random.default_rng(2)
    hits = (np.arange(20) < 14).astype(float)
    low, high = np.quantile(averages.shares(hits, 1 - hits, 4000, rng).mean(axis=1), [0.025, 0.975])
    expected = proportions.shown(14, 20)
    assert (low, high) == pytest.approx(expected, abs=0.07)
    sure = averages.shares(np.ones(20), np.zeros(20), 4000, rng).mean(axis=1)
    assert 0.8 < np.quantile(sure, 0.025) < 0.95


def test_an_effective_number_gives_back_a_proportion() -> None:
    share, n = 0.8, 400
    found = effective.interval_of(share, share * (1 - share) / n, n, 1e9, 0.95)
    assert found == pytest.approx(proportions.shown(320, 400), abs=1e-3)
    sure = effective.interval_of(1.0, 0.0, 50, 1e9, 0.95)
    assert sure == pytest.approx(proportions.shown(50, 50))
