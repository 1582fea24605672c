from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.calibrate.abstention import at, for_accuracy, for_coverage
from gradus.calibrate.curves import answered, reliability
from gradus.errors import TrainingError


def drawn(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers whose probabilities are too great by a tenth."""
    sure = rng.beta(3, 1, n)
    return sure, rng.random(n) < 0.9 * sure + 0.05


def accuracy_above(below: float) -> float:
    """Of the population: the mean of 0.9 p + 0.05 over p from `below` on, p of Beta(3, 1)."""
    mass = 1 - below**3
    return 0.05 + 0.9 * (3 / 4) * (1 - below**4) / mass


def test_the_promise_is_kept_in_so_many_cases() -> None:
    rng = np.random.default_rng(4)
    runs, broken, coverage = 400, 0, []
    for _ in range(runs):
        sure, right = drawn(rng, 500)
        try:
            found = for_accuracy(sure, right, 0.8, 0.9)
        except TrainingError:
            continue
        coverage.append(found.coverage)
        broken += accuracy_above(found.below) < 0.8
        assert found.least is not None
        assert found.least >= 0.8 - 1e-12
    assert broken / runs <= 0.1
    assert len(coverage) > 0.5 * runs  # and it isn't kept by never answering
    assert np.mean(coverage) > 0.2


def test_what_can_not_be_shown_is_said() -> None:
    sure, right = drawn(np.random.default_rng(1), 60)
    with pytest.raises(TrainingError, match="60 items of dev"):
        for_accuracy(sure, right, 0.99, 0.95)


def test_a_share_of_answers() -> None:
    sure = np.array([0.9, 0.8, 0.8, 0.4])
    right = np.array([True, True, False, False])
    assert for_coverage(sure, right, 0.25).below == 0.9
    half = for_coverage(sure, right, 0.5)
    assert (half.below, half.coverage) == (0.8, 0.75)  # equally sure ones can't be told apart
    assert half.accuracy == pytest.approx(2 / 3)
    assert at(sure, right, 0.95).accuracy is None


pairs = st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.7, 0.9]), st.booleans()), min_size=1)


@given(pairs)
def test_curves_by_hand(case: list[tuple[float, bool]]) -> None:
    sure, right = (np.array(part) for part in zip(*case, strict=True))
    for share, accuracy in answered(sure, right):
        least = np.sort(sure)[::-1][round(share * len(sure)) - 1]
        chosen = sure >= least
        assert share == pytest.approx(chosen.mean())
        assert accuracy == pytest.approx(right[chosen].mean())
    assert answered(sure, right)[-1] == pytest.approx([1.0, right.mean()])
    bins = reliability(sure, right)
    assert sum(row["n"] for row in bins) == len(sure)
    assert sum(row["n"] * row["right"] for row in bins) == pytest.approx(right.sum())
    assert all(row["low"] <= row["right"] <= row["high"] for row in bins)
