"""Means over several runs on the same items, or groups of them, by bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from gradus.metrics import get
from gradus.metrics.base import Predictions
from gradus.stats import several

LABELS = ("a", "b")


def run(gold: np.ndarray, right: np.ndarray) -> Predictions:
    predicted = np.where(right, gold, 1 - gold)
    return Predictions(gold, predicted, None, LABELS, tuple(map(str, range(len(gold)))))


def test_it_is_the_bootstrap_of_items_means() -> None:
    """Per item the mean over runs; the standard error of the mean difference, by hand."""
    rng, n = np.random.default_rng(0), 400
    gold = rng.integers(0, 2, n)
    one = [rng.random(n) < 0.9 for _ in range(3)]
    two = [rng.random(n) < 0.85 for _ in range(2)]
    sides = [("x", "y", [run(gold, r) for r in one], [run(gold, r) for r in two])]
    (found,) = several.compare(get("accuracy"), sides, draws=4000)
    assert found is not None
    gaps = np.mean(one, axis=0) - np.mean(two, axis=0)
    error = gaps.std(ddof=1) / np.sqrt(n)
    assert found.difference == pytest.approx(gaps.mean())
    assert found.low == pytest.approx(gaps.mean() - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(gaps.mean() + 1.96 * error, abs=0.1 * error)


def test_groups_widen_what_goes_together() -> None:
    """Forty groups of ten alike items say as much as forty items."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(40) * 7, 10)
    gold = np.repeat(rng.integers(0, 2, 40), 10)
    one, two = (np.repeat(rng.random(40) < share, 10) for share in (0.9, 0.6))
    sides = [("x", "y", [run(gold, one)], [run(gold, two)])]
    (apart,) = several.compare(get("accuracy"), sides)
    (tied,) = several.compare(get("accuracy"), sides, groups=groups)
    single = [("x", "y", [run(gold[::10], one[::10])], [run(gold[::10], two[::10])])]
    (few,) = several.compare(get("accuracy"), single)
    assert apart is not None
    assert tied is not None
    assert few is not None
    assert (tied.low, tied.high) == pytest.approx((few.low, few.high))
    assert tied.high - tied.low > 2.5 * (apart.high - apart.low)
    (nothing,) = several.compare(get("accuracy"), sides, groups=np.zeros(400, dtype=np.int64))
    assert nothing is None


def test_equal_models_are_claimed_as_often_as_the_level_allows() -> None:
    rng, claims = np.random.default_rng(2), 0
    for number in range(300):
        gold = rng.integers(0, 2, 150)
        runs = [[run(gold, rng.random(150) < 0.8) for _ in range(2)] for _ in range(2)]
        (found,) = several.compare(get("accuracy"), [("x", "y", *runs)], draws=400, seed=number)
        claims += bool(found and found.significant)
    assert claims / 300 < 0.09
