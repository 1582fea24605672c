"""Differences beside a step, against statsmodels and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from gradus.benchmarks.classify import ClassifyBenchmark
from gradus.measure.changes import changes, shared
from gradus.metrics.base import Predictions


def predictions(seed: int, share: float, n: int = 200, first: int = 0) -> Predictions:
    """n items whose true label doesn't depend on `seed`, `share` of them right."""
    gold = np.random.default_rng(99).integers(0, 3, 400)[first : first + n]
    draw = np.random.default_rng(seed)
    right = draw.random(n) < share
    predicted = np.where(right, gold, (gold + 1) % 3)
    rows = np.full((n, 3), 0.1)
    rows[np.arange(n), predicted] = 0.8
    ids = tuple(f"{i:04}" for i in range(first, first + n))
    return Predictions(
        gold=gold, predicted=predicted, log_probs=np.log(rows), labels=("a", "b", "c"), ids=ids
    )


def rows(own: Predictions, other: Predictions, level: float = 0.95) -> dict[str, dict[str, object]]:
    found = changes(own, other, against="before", level=level, draws=2000, seed=1)
    return {str(row["metric"]): row for row in found}


@pytest.mark.parametrize(("one", "two"), [(0.9, 0.7), (0.8, 0.79), (0.6, 0.9), (0.8, 0.8)])
def test_accuracy_has_the_exact_two_sided_test(one: float, two: float) -> None:
    own, other = predictions(1, one), predictions(2, two)
    right, before = own.gold == own.predicted, other.gold == other.predicted
    table = [
        [(right & before).sum(), (right & ~before).sum()],
        [(~right & before).sum(), (~right & ~before).sum()],
    ]
    row = rows(own, other)["accuracy"]
    expected = mcnemar(table, exact=True).pvalue
    assert row["p_value"] == pytest.approx(expected)
    assert row["significant"] == (expected < 0.05)
    assert row["difference"] == pytest.approx(right.mean() - before.mean())
    assert row["n"] == 200
    low, high = row["ci_low"], row["ci_high"]
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert low <= right.mean() - before.mean() <= high


def test_log_loss_is_bootstrapped_as_scipy_does() -> None:
    own, other = predictions(1, 0.85), predictions(2, 0.75)
    assert own.log_probs is not None
    assert other.log_probs is not None
    at = np.arange(200)
    apart = other.log_probs[at, other.gold] - own.log_probs[at, own.gold]
    row = rows(own, other)["log_loss"]
    assert row["difference"] == pytest.approx(apart.mean())
    oracle = stats.bootstrap((apart,), np.mean, n_resamples=4000, rng=np.random.default_rng(0))
    width = oracle.confidence_interval.high - oracle.confidence_interval.low
    assert row["ci_low"] == pytest.approx(oracle.confidence_interval.low, abs=0.15 * width)
    assert row["ci_high"] == pytest.approx(oracle.confidence_interval.high, abs=0.15 * width)
    assert row["p_value"] is None


def test_only_shared_items_are_compared() -> None:
    own, other = predictions(1, 0.9), predictions(2, 0.7, first=150)
    left, right = shared(own, other)
    assert len(left) == len(right) == 50
    np.testing.assert_array_equal(left.gold, right.gold)
    assert {row["n"] for row in rows(own, other).values()} == {50}
    assert rows(own, other).keys() == set(ClassifyBenchmark.compared)
    assert rows(own, predictions(2, 0.7, first=200)) == {}


def test_the_same_checkpoint_has_not_changed() -> None:
    own = predictions(1, 0.9)
    for row in rows(own, own).values():
        assert row["difference"] == 0.0
        assert not row["significant"]
