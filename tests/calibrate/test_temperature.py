from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax

from gradus.calibrate.temperature import fit_temperature
from gradus.predict.postprocess import tempered


def drawn(seed: int, n: int = 300, k: int = 5, true: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities that are `true` times too sharp, and labels drawn from the honest ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, k))
    p = np.exp(log_softmax(logits, axis=1))
    gold = np.array([rng.choice(k, p=row) for row in p])
    return log_softmax(true * logits, axis=1), gold


def loss(rows: np.ndarray, gold: np.ndarray, t: float) -> float:
    return float(-log_softmax(rows / t, axis=1)[np.arange(len(rows)), gold].mean())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 9), st.floats(0.3, 5))
def test_it_is_scipys_minimum_in_float64(seed: int, k: int, true: float) -> None:
    rows, gold = drawn(seed, 120, k, true)
    found = fit_temperature(rows, gold, "label")
    if found is None:
        return
    oracle = minimize_scalar(
        lambda log_t: loss(rows, gold, math.exp(log_t)),
        bounds=(math.log(0.01), math.log(100)),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert loss(rows, gold, found) <= oracle.fun + 1e-12
    assert math.isclose(found, math.exp(oracle.x), rel_tol=1e-4)


def test_it_finds_the_temperature_that_was_drawn() -> None:
    rows, gold = drawn(1, 20_000, 5, 2.0)
    found = fit_temperature(rows, gold, "label")
    assert found == pytest.approx(2.0, rel=0.03)


def test_of_decisions_each_its_own() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 2, (4000, 3))
    gold = rng.random(logits.shape) < expit(logits)
    rows = log_expit(3.0 * logits)
    found = fit_temperature(rows, gold, "labels")
    assert found is not None
    np.testing.assert_allclose(np.exp(tempered(rows, found, "labels")), expit(3 / found * logits))

    def of(t: float) -> float:
        z = 3.0 * logits / t
        return float(-np.where(gold, log_expit(z), log_expit(-z)).mean())

    assert of(found) <= min(of(found * 0.999), of(found * 1.001))
    assert found == pytest.approx(3.0, rel=0.06)


def test_where_nothing_is_wrong_or_nothing_known_there_is_none() -> None:
    rows = np.log(np.array([[0.9, 0.1], [0.2, 0.8]]))
    assert fit_temperature(rows, np.array([0, 1]), "label") is None
    assert fit_temperature(rows, np.array([1, 0]), "label") is None
    assert fit_temperature(rows[:0], np.array([], int), "label") is None


def test_labels_that_are_excluded_do_no_harm() -> None:
    rows, gold = drawn(3)
    excluded = np.hstack([rows, np.full((len(rows), 1), -np.inf)])
    one, two = fit_temperature(rows, gold, "label"), fit_temperature(excluded, gold, "label")
    assert one is not None
    assert two == pytest.approx(one, rel=1e-6)
