from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradus.scoring.calibration import calibrated, offsets

scores = arrays(np.float64, (4, 3), elements=st.floats(-30, 0))


def test_by_hand() -> None:
    # Content-free: 0.6 and 0.4, and 0.8 and 0.2; the leaning is 0.7 and 0.3.
    leaning = offsets(np.log([[0.06, 0.04], [0.4, 0.1]]))
    np.testing.assert_allclose(np.exp(leaning), [0.7, 0.3], rtol=1e-12)
    # A text with 0.5 and 0.5: 0.5/0.7 against 0.5/0.3.
    found = np.exp(calibrated(np.log([[0.05, 0.05]]), leaning))
    np.testing.assert_allclose(found, [[0.3, 0.7]], rtol=1e-12)


def test_without_offsets_the_scores_are_only_normalised() -> None:
    found = np.exp(calibrated(np.log([[0.02, 0.06]]), None))
    np.testing.assert_allclose(found, [[0.25, 0.75]], rtol=1e-12)


@given(scores)
def test_the_content_free_input_itself_becomes_undecided(rows: np.ndarray) -> None:
    found = np.exp(calibrated(rows[:1], offsets(rows[:1])))
    np.testing.assert_allclose(found, np.full((1, 3), 1 / 3), rtol=1e-9)


@given(scores)
def test_rows_are_log_probabilities_and_offsets_are_a_distribution(rows: np.ndarray) -> None:
    leaning = offsets(rows)
    assert np.exp(leaning).sum() == pytest.approx(1.0)
    np.testing.assert_allclose(np.exp(calibrated(rows, leaning)).sum(axis=1), 1.0, rtol=1e-9)
    # What all labels share, such as the length of the prompt, plays no part.
    np.testing.assert_allclose(calibrated(rows + 5.0, leaning), calibrated(rows, leaning))
