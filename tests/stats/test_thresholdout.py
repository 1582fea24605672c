"""Thresholdout: its two kinds of answers, its budget, and its bound against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import gammaln

from gradus.stats.thresholdout import GRID, Settings, State, ask, begin, bound
from gradus.testing.adaptive import analyse

SETTINGS = Settings(threshold=0.05, sigma=0.001, budget=3)


def test_while_the_halves_agree_the_free_one_answers() -> None:
    rng = np.random.default_rng(0)
    state = begin(SETTINGS, rng)
    for _ in range(200):
        answer, state = ask(SETTINGS, state, 0.8, 0.82, rng)
        assert (answer.value, answer.held) == (0.8, False)
    assert (state.asked, state.spent) == (200, 0)


def test_where_they_differ_the_holdout_answers_until_the_budget_is_spent() -> None:
    rng = np.random.default_rng(0)
    state = begin(SETTINGS, rng)
    for spent in (1, 2, 3):
        answer, state = ask(SETTINGS, state, 0.9, 0.7, rng)
        assert answer.held
        assert answer.value is not None
        assert abs(answer.value - 0.7) <= 0.02
        assert math.isclose(answer.value / GRID, round(answer.value / GRID), abs_tol=1e-9)
        assert state.spent == spent
    answer, after = ask(SETTINGS, state, 0.9, 0.9, rng)  # even where they agree
    assert answer.value is None
    assert after == state


def test_noise_is_laplace_of_the_papers_rates() -> None:
    settings = Settings(threshold=0.1, sigma=0.01, budget=10**6)
    rng = np.random.default_rng(1)
    noise = np.array([begin(settings, rng).noise for _ in range(20_000)])
    assert np.abs(noise).mean() == pytest.approx(2 * settings.sigma, rel=0.03)
    # At a distance of T itself, half of the questions pass.
    over = [ask(settings, State(), 0.5, 0.6, rng)[0].held for _ in range(20_000)]
    assert np.mean(over) == pytest.approx(0.5, abs=0.02)
    answers = [ask(settings, State(), 0.0, 0.5, rng)[0].value for _ in range(20_000)]
    assert np.abs(np.array(answers, dtype=float) - 0.5).mean() == pytest.approx(0.01, rel=0.1)


def test_the_bound_is_the_sum_of_what_it_says() -> None:
    settings, m, n, beta = Settings(0.04, 0.002, 5), 50, 5000, 0.05
    counts = [
        math.exp(gammaln(m + 1) - gammaln(j + 1) - gammaln(m - j + 1)) * 101**j for j in range(6)
    ]
    sampling = math.sqrt(math.log(2 * m * sum(counts) / (beta / 2)) / (2 * n))
    noise = 2 * 0.002 * math.log(6 * 6 / (2 * beta)) + 4 * 0.002 * math.log(6 * m / (2 * beta))
    assert bound(settings, m, n, beta=beta) == pytest.approx(sampling + 0.04 + noise)


def test_noise_is_believed_of_a_naive_holdout_and_not_of_this_one() -> None:
    settings = Settings(threshold=0.1, sigma=0.002, budget=10)
    naive = [analyse(seed, n=1000, features=800, settings=None) for seed in range(3)]
    held = [analyse(seed, n=1000, features=800, settings=settings) for seed in range(3)]
    assert min(one.accuracy for one in naive) > 0.58
    assert all(abs(one.accuracy - 0.5) < 0.05 for one in held)
    assert all(one.worst <= one.bound and not one.refused for one in held)


@pytest.mark.slow
def test_the_bound_holds_over_many_analyses() -> None:
    settings = Settings(threshold=0.08, sigma=0.002, budget=20)
    naive = [analyse(seed, n=2000, features=4000, settings=None) for seed in range(20)]
    held = [analyse(seed, n=2000, features=4000, settings=settings) for seed in range(20)]
    assert np.mean([one.accuracy for one in naive]) > 0.6
    assert all(one.worst <= one.bound for one in held)
    assert np.mean([abs(one.accuracy - 0.5) for one in held]) < 0.02
