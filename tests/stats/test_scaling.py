"""Power laws: recovered where there is one, refused in words where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from gradus.metrics import get
from gradus.metrics.numbers import Numbers
from gradus.stats import scaling

SIZES = [1e6, 4e6, 1.6e7, 6.4e7, 2.56e8]


def law(x: np.ndarray | list[float], c: float, a: float, b: float) -> np.ndarray:
    return c + a * np.asarray(x, np.float64) ** -b


@settings(max_examples=40)
@given(st.floats(0, 3), st.floats(0.5, 4), st.floats(0.05, 2), st.sampled_from([-1, 1]))
def test_a_law_without_noise_is_recovered(c: float, gain: float, b: float, sign: int) -> None:
    x = np.array([1.0, 2, 4, 8, 16, 32])
    y = law(x, c, sign * gain, b)
    found = scaling.fit(x.tolist(), y.tolist(), np.stack([y, y]), at=[64.0])
    assert isinstance(found, scaling.PowerLaw)
    assert found.exponent == pytest.approx(b, rel=0.02)
    assert found(64.0) == pytest.approx(float(law([64.0], c, sign * gain, b)[0]), abs=0.01 * gain)
    assert found.predictions[0].value == pytest.approx(found(64.0))
    assert found.explained == pytest.approx(1.0, abs=1e-4)


def test_noise_is_weighed_as_scipy_weighs_it() -> None:
    draw = np.random.default_rng(1)
    sd = np.array([0.02, 0.01, 0.01, 0.005, 0.005])
    y = law(SIZES, 2.0, 60.0, 0.28) + sd * draw.normal(size=5)
    samples = y + sd * draw.normal(size=(4000, 5))
    found = scaling.fit(SIZES, y.tolist(), samples)
    assert isinstance(found, scaling.PowerLaw)
    x, weight = np.array(SIZES) / 1e6, 1 / samples.std(axis=0)
    starts = [
        least_squares(lambda p: (law(x, *p) - y) * weight, [1.5, 1.0, b]) for b in (0.1, 0.3, 1.0)
    ]
    best = min(starts, key=lambda r: r.cost).x
    assert (found.limit, found.exponent) == pytest.approx((best[0], best[2]), rel=1e-3)
    assert found.factor == pytest.approx(best[1] * 1e6 ** best[2], rel=1e-2)


def test_the_exponents_interval_holds_the_truth_as_often_as_it_says() -> None:
    draw, held, predicted = np.random.default_rng(2), 0, 0
    truth = (1.0, 50.0, 0.3)
    for _ in range(60):
        y = law(SIZES, *truth) + 0.01 * draw.normal(size=5)
        samples = y + 0.01 * draw.normal(size=(400, 5))
        found = scaling.fit(SIZES, y.tolist(), samples, at=[1e9], level=0.9)
        assert isinstance(found, scaling.PowerLaw)
        held += found.exponent_low <= truth[2] <= found.exponent_high
        ahead = found.predictions[0]
        predicted += ahead.low <= float(law([1e9], *truth)[0]) <= ahead.high
    # 60 intervals at 90 % miss 12 or more times with probability 2 %.
    assert 48 <= held <= 60
    assert 48 <= predicted <= 60


def test_the_limit_stays_within_what_the_metric_can_be() -> None:
    x, y = [1.0, 2, 4, 8], [0.5, 0.7, 0.82, 0.95]
    free = scaling.fit(x, y, np.array([y, y]))
    held = scaling.fit(x, y, np.array([y, y]), within=(0.0, 1.0), at=[1e6])
    assert isinstance(held, scaling.PowerLaw)
    assert held.limit <= 1.0
    assert held.predictions[0].value <= 1.0
    assert isinstance(free, str) or free.limit > 1.0


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        ([1, 2, 4], [3, 2, 1], "3 distinct x: a power law has three numbers"),
        ([1, 2, 2, 1], [3, 2, 1, 4], "2 distinct x"),
        ([0, 1, 2, 4], [3, 2, 1, 0.5], "3 distinct x (x = 0 has no power)"),
        ([1, 2, 4, 8], [0.5] * 4, "the value is the same at every x"),
        ([1, 2, 4, 8, 16], [5, 4, 3, 2, 1], "like the logarithm of x"),
        ([1, 2, 4, 8, 16], [5, 1, 1, 1, 1], "between two neighbouring x"),
    ],
)
def test_where_there_is_no_law_it_says_why(x: list[float], y: list[float], said: str) -> None:
    found = scaling.fit(x, y, np.array([y, y], np.float64))
    assert isinstance(found, str)
    assert said in found


def test_draws_resample_the_same_items_for_all() -> None:
    gold = np.arange(30.0)
    draw = np.random.default_rng(3)
    one = Numbers(gold, gold + draw.normal(size=30))
    found = scaling.draws_of(get("mae"), [one, one], draws=50)
    assert found.shape == (50, 2)
    assert (found[:, 0] == found[:, 1]).all()
    assert found[:, 0].mean() == pytest.approx(get("mae")(one), abs=0.1)
    assert math.isfinite(float(found.std()))
    assert found[:, 0].std() > 0
