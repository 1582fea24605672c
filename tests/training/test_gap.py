from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from gradus.training.gap import MOST, Gap, compare, kept, means


def draw(seed: int, n: int, mean: float, spread: float = 0.5) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, spread, n)


def test_the_interval_is_welchs_by_hand() -> None:
    select, train = draw(0, 40, 3.0), draw(1, 25, 2.8)
    found = compare(select, train, None, 1)
    assert found is not None
    a, b = select.var(ddof=1) / 40, train.var(ddof=1) / 25
    freedom = (a + b) ** 2 / (a**2 / 39 + b**2 / 24)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(a + b)
    gap = select.mean() - train.mean()
    assert (found.gap, found.low, found.high) == pytest.approx((gap, gap - half, gap + half))
    assert (found.p, found.warns, found.since) == (1.0, False, None)


def narrowest(select: np.ndarray, train: np.ndarray) -> dict[str, object]:
    first = compare(select, train, None, 1)
    assert first is not None
    return kept(select, train, first, 10)


def test_the_test_pairs_each_text_with_itself() -> None:
    select, train = draw(0, 40, 3.0), draw(1, 25, 2.8)
    before = narrowest(select, train)
    # Far less than the spread of texts, but each text says the same.
    noise = np.random.default_rng(2)
    later = select + 0.02 + 0.002 * noise.normal(size=40), train - 0.01
    found = compare(*later, before, 4)
    assert found is not None
    change = later[0] - select
    t = (change.mean() + 0.01) / math.sqrt(change.var(ddof=1) / 40)
    assert found.p == pytest.approx(min(1.0, 3 * stats.t.sf(t, 39)), rel=1e-6)
    assert found.warns
    assert found.risen
    assert found.since == (10, before["gap"])
    assert "has risen since" in found.told(20)


def test_narrower_or_unchanged_is_no_warning() -> None:
    select, train = draw(0, 40, 3.0), draw(1, 25, 2.8)
    before = narrowest(select, train)
    for later in ((select, train), (select - 1 - draw(3, 40, 0, 0.1), train)):
        found = compare(*later, before, 2)
        assert found is not None
        assert not found.warns
        assert found.p > 0.5


def test_noise_rarely_warns_in_a_whole_training() -> None:
    warned = 0
    for seed in range(200):
        noise = np.random.default_rng(seed)
        select, train = noise.normal(3, 0.5, 30), noise.normal(3, 0.5, 20)
        least: dict[str, object] | None = None
        for k in range(1, 11):
            now = select + 0.05 * noise.normal(size=30), train + 0.05 * noise.normal(size=20)
            found = compare(*now, least, k)
            assert isinstance(found, Gap)
            if least is None or found.gap < float(str(least["gap"])):
                least = kept(*now, found, k)
            if found.warns:
                warned += 1
                break
    assert warned <= 0.05 * 200 + 3 * math.sqrt(0.05 * 0.95 * 200)


def test_means_leave_out_texts_without_terms_and_take_evenly() -> None:
    got = means(np.array([4.0, 0.0, 9.0]), np.array([2, 0, 3]))
    assert got.tolist() == [2.0, 3.0]
    many = means(np.arange(3 * MOST, dtype=float), np.ones(3 * MOST, dtype=np.int64))
    assert len(many) == MOST
    assert (many[0], many[-1]) == (0, 3 * MOST - 1)


def test_one_text_says_nothing() -> None:
    assert compare(np.array([1.0]), np.array([1.0, 2.0]), None, 1) is None
