"""Differences of outputs against sums by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax, softmax

from gradus.errors import ContractError
from gradus.parity import Tally, compare

LOGITS = arrays(np.float64, (5, 4), elements=st.floats(-20, 20))


def by_hand(parent: np.ndarray, child: np.ndarray) -> tuple[float, float, float, float]:
    """Maximum, mean, divergence and flips with loops over rows and labels."""
    apart, divergence, flips = [], 0.0, 0
    for left, right in zip(parent.tolist(), child.tolist(), strict=True):
        middles = [math.fsum(row) / len(row) for row in (left, right)]
        apart += [
            abs((a - middles[0]) - (b - middles[1])) for a, b in zip(left, right, strict=True)
        ]
        p, q = softmax(left), softmax(right)
        divergence += math.fsum(
            a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True) if a > 0
        )
        flips += left.index(max(left)) != right.index(max(right))
    return max(apart), sum(apart) / len(apart), divergence / len(parent), flips / len(parent)


@given(LOGITS, LOGITS)
def test_against_sums_by_hand(parent: np.ndarray, child: np.ndarray) -> None:
    found = compare(parent, child, handoff="export")
    expected = by_hand(parent, child)
    got = (found.max_logit, found.mean_logit, found.kl, found.flips)
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(LOGITS, LOGITS, st.floats(-100, 100))
def test_a_constant_says_nothing(parent: np.ndarray, child: np.ndarray, added: float) -> None:
    one = compare(parent, child, handoff="export")
    two = compare(log_softmax(parent, axis=1), child + added, handoff="export")
    assert two.max_logit == pytest.approx(one.max_logit, abs=1e-9)
    assert two.mean_logit == pytest.approx(one.mean_logit, abs=1e-9)
    assert two.kl == pytest.approx(one.kl, abs=1e-9)


@given(LOGITS, LOGITS, st.integers(1, 4))
def test_batches_say_what_all_say(parent: np.ndarray, child: np.ndarray, cut: int) -> None:
    tally = Tally()
    tally.add(parent[:cut], child[:cut])
    tally.add(parent[cut:], child[cut:])
    whole, parts = compare(parent, child, handoff="x"), tally.parity("x")
    assert parts.max_logit == whole.max_logit
    assert parts.flips == whole.flips
    assert (parts.mean_logit, parts.kl) == pytest.approx((whole.mean_logit, whole.kl))


def test_what_is_masked_in_both_differs_by_nothing() -> None:
    masked = np.array([[0.0, 1.0, -np.inf]])
    found = compare(masked, masked, handoff="export")
    assert (found.max_logit, found.kl, found.flips) == (0.0, 0.0, 0.0)
    gone = compare(np.array([[0.0, 1.0, 0.5]]), masked, handoff="export")
    assert gone.max_logit == gone.kl == math.inf


def test_nan_is_never_forgotten() -> None:
    tally = Tally()
    tally.add(np.zeros((1, 2)), np.array([[np.nan, 0.0]]))
    tally.add(np.zeros((1, 2)), np.ones((1, 2)))
    found = tally.parity("export")
    assert math.isnan(found.max_logit or 0.0)
    assert math.isnan(found.kl or 0.0)


def test_labels_of_their_own_are_sigmoids() -> None:
    parent, child = np.array([[2.0, -1.0]]), np.array([[1.5, 0.5]])
    found = compare(parent, child, handoff="export", outputs="labels")
    expected = 0.0
    for a, b in ((2.0, 1.5), (-1.0, 0.5)):
        p, q = 1 / (1 + math.exp(-a)), 1 / (1 + math.exp(-b))
        expected += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    assert found.kl == pytest.approx(expected)
    assert found.flips == 1.0
    assert found.max_logit == 1.5


def test_numbers_have_neither_label_nor_divergence() -> None:
    parent, child = np.array([[1.0], [2.0]]), np.array([[1.5], [2.0]])
    found = compare(parent, child, handoff="export", outputs="number")
    assert (found.max_logit, found.mean_logit, found.kl, found.flips) == (0.5, 0.25, None, None)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ContractError, match="same labels"):
        compare(np.zeros((2, 3)), np.zeros((2, 4)), handoff="export")
    with pytest.raises(ContractError, match="no rows"):
        compare(np.zeros((0, 3)), np.zeros((0, 3)), handoff="export")
