"""Tests for drift, against scipy, statsmodels, exact enumeration and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, hypergeom, ks_2samp
from statsmodels.stats.multitest import multipletests

from gradus.data.audit.drift import DRAWS, holm, label_drift, length_drift


def test_labels_as_scipy() -> None:
    one, two = np.array([120, 300, 80, 0]), np.array([30, 45, 25, 0])
    found = label_drift(one, two)
    expected = chi2_contingency(np.stack([one, two])[:, :3], correction=False)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.test == "chi-square"
    assert found.effect == pytest.approx((abs(0.24 - 0.3) + abs(0.6 - 0.45) + abs(0.16 - 0.25)) / 2)


@pytest.mark.parametrize("swap", [False, True])
def test_few_labels_by_draws_as_by_enumeration(swap: bool) -> None:
    one, two = np.array([40, 6]), np.array([5, 4])
    total, ones, n = 55, 45, 9  # the second sample's count of label 0 is hypergeometric
    counts = np.arange(n + 1)
    chance = hypergeom.pmf(counts, total, ones, n)
    away = np.abs(counts - n * ones / total)  # with two labels the statistic grows with this
    exact = chance[away >= away[5] - 1e-9].sum()
    found = label_drift(two, one) if swap else label_drift(one, two)
    assert found.test == "chi-square, by draws"
    assert found.p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / DRAWS))


def test_labels_without_drift_are_seldom_called_so() -> None:
    rng, shares = np.random.default_rng(1), np.array([0.6, 0.3, 0.07, 0.03])
    p_values = [
        label_drift(rng.multinomial(400, shares), rng.multinomial(30, shares)).p for _ in range(200)
    ]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)
    assert 0.4 < np.mean(p_values) < 0.65


def test_plain_drift_is_found() -> None:
    assert label_drift(np.array([500, 500]), np.array([90, 10])).p < 1e-9
    assert label_drift(np.array([500, 4]), np.array([10, 10])).p == 1 / (DRAWS + 1)
    rng = np.random.default_rng(0)
    assert length_drift(rng.poisson(100, 500), rng.poisson(115, 100)).p < 1e-9


def test_samples_without_anything() -> None:
    none = np.zeros(3, int)
    assert math.isnan(label_drift(none, np.array([1, 2, 3])).p)
    assert label_drift(np.array([9, 0, 0]), np.array([4, 0, 0])).p == 1.0
    assert math.isnan(length_drift(np.zeros(0, int), np.arange(4)).p)


def test_lengths_as_scipy_and_by_hand() -> None:
    one, two = np.array([3, 5, 5, 9, 12, 40]), np.array([5, 20, 30, 41])
    grid = np.union1d(one, two)
    distance = max(abs((one <= g).mean() - (two <= g).mean()) for g in grid)
    found = length_drift(one, two)
    assert found.effect == pytest.approx(distance)
    assert found.p == pytest.approx(ks_2samp(one, two, method="exact").pvalue)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=40)
def test_holm_as_statsmodels(p_values: list[float]) -> None:
    expected = multipletests(p_values, method="holm")[1]
    assert holm(p_values) == pytest.approx(expected.tolist())


def test_holm_leaves_out_what_is_undefined() -> None:
    corrected = holm([0.01, math.nan, 0.04])
    assert corrected[0] == pytest.approx(0.02)
    assert math.isnan(corrected[1])
    assert corrected[2] == pytest.approx(0.04)
