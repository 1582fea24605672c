"""How sure an estimate from crossed ratings is: formulas by hand, and simulated truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradus.stats.crossed import crossed


def grid(prompts: int, raters: int) -> tuple[np.ndarray, np.ndarray]:
    prompt, rater = np.indices((prompts, raters)).reshape(2, -1)
    return prompt, rater


def mean_of(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Moves and weights of the mean of ratings [M]."""
    weights = np.full((len(values), 1), 1 / len(values))
    return (values - values.mean())[:, None] * weights, weights


def test_alone_it_is_the_variance_of_a_mean() -> None:
    values = np.random.default_rng(1).normal(size=30)
    found = crossed(*mean_of(values), np.arange(30), None)
    assert found.variance[0] == pytest.approx(values.var(ddof=1) / 30)
    assert found.freedom[0] == pytest.approx(29)


def test_balanced_parts_are_those_of_the_analysis_of_variance() -> None:
    draw = np.random.default_rng(2)
    table = draw.normal(size=(12, 1)) + 0.8 * draw.normal(size=(1, 5)) + draw.normal(size=(12, 5))
    prompt, rater = grid(12, 5)
    found = crossed(*mean_of(table.ravel()), prompt, rater)
    # Mean squares of a two-way table without repeats (Searle, Casella and McCulloch 1992, ch. 4).
    mean = table.mean()
    by_prompt = 5 * ((table.mean(axis=1) - mean) ** 2).sum() / 11
    by_rater = 12 * ((table.mean(axis=0) - mean) ** 2).sum() / 4
    left = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + mean
    own = (left**2).sum() / 44
    assert min(by_prompt, by_rater) > own
    assert found.variance[0] == pytest.approx((by_prompt + by_rater - own) / 60)
    unsure = by_prompt**2 / 11 + by_rater**2 / 4 + own**2 / 44
    assert found.freedom[0] == pytest.approx((by_prompt + by_rater - own) ** 2 / unsure)


@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_the_variance_is_right_on_average(missing: float) -> None:
    draw = np.random.default_rng(3)
    seen, errors = [], []
    for _ in range(400):
        prompt, rater = grid(10, 6)
        kept = draw.random(60) >= missing
        prompt, rater = prompt[kept], rater[kept]
        own = draw.normal(size=10)[prompt] + 0.7 * draw.normal(size=6)[rater]
        values = own + draw.normal(size=len(prompt))
        seen.append(crossed(*mean_of(values), prompt, rater).variance[0])
        errors.append(values.mean() ** 2)
    # Parts that would be negative are 0, which adds a little.
    assert np.mean(seen) == pytest.approx(np.mean(errors), rel=0.15)


def test_raters_who_share_no_prompt_are_clusters() -> None:
    draw = np.random.default_rng(4)
    rater = np.repeat(np.arange(8), 5)
    values = draw.normal(size=8)[rater] + 0.5 * draw.normal(size=40)
    found = crossed(*mean_of(values), np.arange(40), rater)
    by_rater = values.reshape(8, 5).mean(axis=1)
    assert found.variance[0] == pytest.approx(by_rater.var(ddof=1) / 8, rel=0.1)


def test_one_prompt_and_one_rater_bound_nothing() -> None:
    found = crossed(np.array([[0.0]]), np.array([[1.0]]), np.array([0]), np.array([0]))
    assert found.variance[0] == math.inf
    assert found.margin(0.95)[0] == math.inf


def test_one_rater_is_taken_for_the_only_one() -> None:
    values = np.random.default_rng(5).normal(size=12)
    alone = crossed(*mean_of(values), np.arange(12), np.zeros(12, np.int64))
    assert alone.variance[0] == pytest.approx(values.var(ddof=1) / 12)


def test_no_spread_is_none() -> None:
    found = crossed(*mean_of(np.full(12, 3.0)), *grid(4, 3))
    assert found.variance[0] == 0.0
    assert found.margin(0.95)[0] == 0.0
