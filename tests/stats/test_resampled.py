"""The corrected resampled t-test, components of variance, and null experiments."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from gradus.metrics.mae import Mae
from gradus.metrics.numbers import Numbers
from gradus.stats.components import components, item_variance
from gradus.stats.resampled import corrected, naive


def test_the_naive_test_is_scipys() -> None:
    found = np.random.default_rng(0).normal(0.3, 1, 12)
    mine, theirs = naive(found, level=0.9), stats.ttest_1samp(found, 0.0)
    low, high = theirs.confidence_interval(0.9)
    assert mine.p_value == pytest.approx(theirs.pvalue)
    assert (mine.low, mine.high) == pytest.approx((low, high))


def test_the_correction_by_hand() -> None:
    """Five folds: the variance is multiplied with 1/5 + 1/4, so t shrinks by the root of 2.25."""
    found = [0.02, 0.01, 0.03, 0.00, 0.02]
    mine, plain = corrected(found, trained=80, held=20), naive(found)
    variance = sum((d - 0.016) ** 2 for d in found) / 4
    t = 0.016 / math.sqrt(0.45 * variance)
    assert mine.factor == pytest.approx(0.45)
    assert mine.p_value == pytest.approx(2 * stats.t.sf(t, 4))
    assert mine.high - mine.value == pytest.approx(1.5 * (plain.high - plain.value))


def test_what_cannot_be_tested() -> None:
    one = corrected([0.1], trained=80, held=20)
    assert math.isnan(one.p_value)
    assert (one.low, one.high) == (-math.inf, math.inf)
    assert math.isnan(corrected([], trained=80, held=20).value)
    assert naive([0.0, 0.0, 0.0]).p_value == 1.0
    assert naive([0.5, 0.5, 0.5]).p_value == 0.0
    with pytest.raises(ValueError, match="trained on something"):
        corrected([0.1, 0.2], trained=0, held=20)


def test_components_are_those_that_were_put_in() -> None:
    """Means over many simulated tables against the variances they were drawn with."""
    rng, seen = np.random.default_rng(2), []
    seeds, training, items = 0.04, 0.25, 0.09
    for _ in range(600):
        cells = rng.normal(0, math.sqrt(training), (10, 1)) + rng.normal(
            0, math.sqrt(items), (10, 1)
        )
        values = cells + rng.normal(0, math.sqrt(seeds), (10, 3))
        found = components(values, np.full(10, items))
        seen.append((found.seeds, found.raw_folds, found.items, found.raw_training))
    assert np.mean(seen, axis=0) == pytest.approx(
        [seeds, training + items, items, training], rel=0.06
    )


@pytest.mark.parametrize(
    ("training", "items", "seeds", "noise"),
    [(0.0, 0.0, 0.0, 1.0), (0.0, 1.0, 0.0, 0.0), (0.02, 1.0, 0.0, 1.0), (0.02, 1.0, 0.01, 0.5)],
)
def test_components_of_predictions(
    training: float, items: float, seeds: float, noise: float
) -> None:
    """Errors of 10 cells of 60 items by two seeds, drawn with these variances: what single seeds do
    with single items (`noise`) belongs to the seeds, and isn't taken for that of the items."""
    rng, seen, n = np.random.default_rng(4), [], 60
    gold = np.zeros(n)
    for _ in range(300):
        table, varied = [], []
        for _ in range(10):
            cell = 9 + rng.normal(0, math.sqrt(training)) + rng.normal(0, math.sqrt(items), n)
            runs = [
                Numbers(
                    gold=gold,
                    predicted=cell
                    + rng.normal(0, math.sqrt(seeds))
                    + rng.normal(0, math.sqrt(noise), n),
                )
                for _ in range(2)
            ]
            table.append([Mae()(run) for run in runs])
            varied.append(item_variance(Mae(), runs, draws=100))
        found = components(np.array(table), np.array(varied))
        seen.append((found.seeds, found.raw_items, found.raw_training))
        assert min(found.items, found.training) >= 0
    assert np.mean(seen, axis=0) == pytest.approx(
        [seeds + noise / n, items / n, training], abs=0.002
    )


def test_components_with_less_than_they_need() -> None:
    one = components(np.array([[0.8], [0.9], [0.7]]))
    assert math.isnan(one.seeds)
    assert math.isnan(one.items)
    assert one.folds == pytest.approx(0.01)
    none = components(np.array([[0.8, 0.9]]))
    assert math.isnan(none.folds)
    assert none.seeds == pytest.approx(0.005)
    below = components(np.array([[0.1, 0.9], [0.5, 0.5], [0.2, 0.8]]))
    assert below.folds == 0.0
    assert below.raw_folds < 0


@pytest.mark.slow
def test_false_alarms_of_a_thousand_null_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeated cross-validation of two equal learners: 5 % +- 1.5 claim a difference.

    The naive test, on the same folds, is far above. Both as `bench/crossval.py` prints them.
    """
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "bench"))
    bench = importlib.import_module("crossval")
    setting = next(s for s in bench.SETTINGS if s.headline)
    ours, theirs = bench.false_alarms(setting, 1000)
    assert ours == pytest.approx(0.05, abs=0.015)
    assert theirs > 0.2
