"""Strengths from pairs against a published fit, a logit model and a general optimiser."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from statsmodels.api import Logit

from gradus.errors import DataError
from gradus.stats.strengths import Answers, Strengths, outcomes, win_share, win_shares
from gradus.testing.panels import PanelWorld, pairs

# Davidson (1970), table 1: chocolate puddings of six brands; i, j, wins of i, wins of j, ties.
PUDDINGS = [
    (1, 2, 19, 22, 16),
    (1, 3, 16, 19, 12),
    (2, 3, 19, 19, 10),
    (1, 4, 18, 23, 13),
    (2, 4, 23, 19, 9),
    (3, 4, 19, 20, 15),
    (1, 5, 13, 19, 18),
    (2, 5, 16, 20, 12),
    (3, 5, 16, 15, 17),
    (4, 5, 17, 14, 16),
    (1, 6, 18, 21, 12),
    (2, 6, 22, 20, 12),
    (3, 6, 13, 18, 10),
    (4, 6, 14, 19, 18),
    (5, 6, 11, 21, 12),
]


def answers(rows: list[tuple[int, int, int]]) -> Answers:
    """From (first, second, value); each answer by a rater and on a prompt of its own."""
    first, second, values = np.array(rows).T
    everyone = np.arange(len(rows))
    return Answers(first, second, outcomes(values.astype(float)), everyone, everyone)


def test_the_published_worths_of_puddings() -> None:
    rows = [
        (i - 1, j - 1, value)
        for i, j, *counts in PUDDINGS
        for value, count in zip((1, 2, 0), counts, strict=True)
        for _ in range(count)
    ]
    found = Strengths(answers(rows), 6, pseudo=0.0, position=False)
    worths = np.exp(found.values)
    # As Turner, van Etten, Firth and Kosmidis (2020), Modelling rankings in R, print them.
    published = [0.1388005, 0.1729985, 0.1617420, 0.1653930, 0.1586805, 0.2023855]
    assert worths / worths.sum() == pytest.approx(published, abs=2e-4)
    assert found.tie is not None
    assert math.exp(found.tie) == pytest.approx(0.7468147, abs=2e-3)


def drawn(number: int, ties: bool, seed: int = 1) -> list[tuple[int, int, int]]:
    draw, strengths = np.random.default_rng(seed), np.array([0.0, 0.5, 1.2])
    rows = []
    for _ in range(number):
        first, second = draw.permutation(3)[:2]
        odds = np.exp([(strengths[first] - strengths[second] + 0.4) / 2] * 2 * np.array([1, -1]))
        three = np.array([*odds, 0.5 if ties else 0.0])
        chosen = int(draw.choice(3, p=three / three.sum()))
        rows.append((int(first), int(second), (1, 2, 0)[chosen]))
    return rows


def test_without_ties_it_is_a_logit_model() -> None:
    rows = drawn(300, ties=False)
    found = Strengths(answers(rows), 3, pseudo=0.0)
    first, second, value = np.array(rows).T
    design = np.eye(3)[first] - np.eye(3)[second]
    design = np.column_stack([design[:, 1:], np.ones(len(rows))])
    fitted = Logit((value == 1).astype(float), design).fit(disp=0)
    assert found.values - found.values[0] == pytest.approx([0, *fitted.params[:2]], abs=1e-5)
    assert found.first == pytest.approx(fitted.params[2], abs=1e-5)
    # Answers that are independent of one another: the interval is about the model's own.
    own = fitted.conf_int()[1]
    told = found.difference(2, 0)
    assert told.high - told.low == pytest.approx(own[1] - own[0], rel=0.1)


def test_with_ties_it_is_the_maximum() -> None:
    rows = drawn(200, ties=True, seed=2)
    found = Strengths(answers(rows), 3, pseudo=0.0)

    def unlikely(free: np.ndarray) -> float:
        strengths, total = np.array([0.0, free[0], free[1]]), 0.0
        for first, second, value in rows:
            apart = strengths[first] - strengths[second] + free[2]
            logits = {1: apart / 2, 2: -apart / 2, 0: free[3]}
            total += math.log(sum(map(math.exp, logits.values()))) - logits[value]
        return total

    best = minimize(unlikely, np.zeros(4)).x
    assert found.values - found.values[0] == pytest.approx([0, best[0], best[1]], abs=1e-4)
    assert found.first == pytest.approx(best[2], abs=1e-4)
    assert found.tie == pytest.approx(best[3], abs=1e-4)


def test_who_always_wins_has_a_finite_strength_and_a_long_interval() -> None:
    found = Strengths(answers([(0, 1, 1)] * 20 + [(1, 0, 2)] * 20), 2)
    told = found.difference(0, 1)
    assert 1 < told.value < 10
    assert told.high - told.low > 3
    assert told.low > 0


def test_two_writers_by_hand() -> None:
    """Odds of 30 to 10, a half added either way: log(30.5 / 10.5) (Haldane 1956)."""
    rows = [(0, 1, 1)] * 15 + [(1, 0, 2)] * 15 + [(0, 1, 2)] * 5 + [(1, 0, 1)] * 5
    found = Strengths(answers(rows), 2)
    assert found.difference(0, 1).value == pytest.approx(math.log(30.5 / 10.5), abs=1e-6)
    assert found.first == pytest.approx(0, abs=1e-6)
    assert sum(found.values) == pytest.approx(0)


def test_a_bias_of_position_isnt_taken_for_quality() -> None:
    """All say the first; writer 0 stood first more often."""
    found = Strengths(answers([(0, 1, 1)] * 30 + [(1, 0, 1)] * 10), 2)
    assert abs(found.difference(0, 1).value) < 0.5
    assert found.advantage().value > 2


def test_raters_with_one_mind_count_for_less() -> None:
    rows = drawn(120, ties=False, seed=3)
    free = answers(rows)
    crowd = Answers(free.first, free.second, free.outcomes, np.arange(120) % 3, np.arange(120) // 3)
    # Each prompt is answered alike by all three.
    same = Answers(
        *(np.repeat(part[:40], 3, axis=0) for part in (free.first, free.second, free.outcomes)),
        crowd.raters,
        crowd.prompts,
    )
    few, many = Strengths(same, 3).difference(2, 0), Strengths(free, 3).difference(2, 0)
    assert few.high - few.low > 1.3 * (many.high - many.low)


def test_writers_who_never_met_have_no_common_scale() -> None:
    with pytest.raises(DataError, match="don't link all writers"):
        Strengths(answers([(0, 1, 1), (2, 3, 1)]), 4)


def test_shares_of_wins() -> None:
    given = answers([(0, 1, 1)] * 6 + [(1, 0, 2)] * 2 + [(0, 1, 2)] * 1 + [(0, 1, 0)] * 3)
    told = win_share(given, 0, 1)
    assert told.value == pytest.approx((8 + 1.5) / 12)
    assert 0 < told.low < told.value < told.high < 1
    other = win_share(given, 1, 0)
    assert other.value == pytest.approx(1 - told.value)
    assert (other.low, other.high) == pytest.approx((1 - told.high, 1 - told.low), abs=1e-6)
    assert [each.value for each in win_shares(given, 2)] == [told.value, other.value]
    assert math.isnan(win_share(given, 0, 5).value)
    assert math.isnan(win_shares(given, 3)[2].value)


def test_a_judges_mean_answer_is_shared() -> None:
    assert outcomes(np.array([0.0, 1.0, 2.0, 1.25])) == pytest.approx(
        np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0], [0.75, 0.25, 0]])
    )


def test_the_simulated_chances_are_those_of_a_large_panel() -> None:
    world = PanelWorld(raters=60, prompts=200)
    many = pairs(world, np.random.default_rng(4))
    chances = world.chances()
    for first, second, told in zip(chances.first, chances.second, chances.outcomes, strict=True):
        met = (many.first == first) & (many.second == second)
        assert many.outcomes[met].mean(axis=0) == pytest.approx(told, abs=0.06)
