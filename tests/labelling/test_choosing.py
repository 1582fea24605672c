"""Uncertainty by hand, and chosen texts that are unsure, different and each once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from gradus.labelling import DIVERSITIES, UNCERTAINTIES, choose, uncertainty
from gradus.labelling.vectors import from_words


def test_uncertainty_by_hand() -> None:
    p = np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0], [1 / 3] * 3])
    assert uncertainty(p, "margin") == pytest.approx([0.8, 0.0, 1.0])
    assert uncertainty(p, "least-confidence") == pytest.approx([0.5, 0.0, 2 / 3])
    assert uncertainty(p, "entropy") == pytest.approx([entropy(row, base=3) for row in p])
    several = np.array([[0.5, 0.9], [0.0, 1.0]])
    assert uncertainty(several, several=True) == pytest.approx([(1 + 0.2) / 2, 0.0])
    expected = (entropy([0.5, 0.5], base=2) + entropy([0.9, 0.1], base=2)) / 2
    assert uncertainty(several, "entropy", several=True) == pytest.approx([expected, 0.0])


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 60),
    n=st.integers(0, 70),
    how=st.sampled_from(DIVERSITIES),
    by=st.sampled_from(UNCERTAINTIES),
    seed=st.integers(0, 5),
)
def test_each_is_taken_once_and_the_most_uncertain_comes_first(
    rows: int, n: int, how: str, by: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(4), size=rows)
    vectors = rng.normal(size=(rows, 3)).round(0)  # many alike
    unsure = uncertainty(p, by)  # type: ignore[arg-type]
    assert ((unsure >= 0) & (unsure <= 1)).all()
    chosen = choose(unsure, vectors, n, diversity=how)  # type: ignore[arg-type]
    assert len(chosen) == len(set(chosen.tolist())) == min(n, rows)
    assert (np.diff(unsure[chosen]) <= 0).all()
    assert (chosen == choose(unsure, vectors, n, diversity=how)).all()  # type: ignore[arg-type]


def test_diversity_asks_about_each_kind_of_text() -> None:
    # 60 texts of one kind are a little more uncertain than 10 of each of three others.
    kinds = np.repeat([0, 1, 2, 3], [60, 10, 10, 10])
    vectors = np.eye(4)[kinds] + 0.01 * np.random.default_rng(0).normal(size=(90, 4))
    unsure = np.where(kinds == 0, 0.9, 0.85)
    assert set(kinds[choose(unsure, vectors, 9, diversity="none")]) == {0}
    for how in ("kmeans", "k-centre"):
        assert set(kinds[choose(unsure, vectors, 9, diversity=how)]) == {0, 1, 2, 3}  # type: ignore[arg-type]
    # Near what is labelled already k-centre asks later.
    mixed = np.random.default_rng(1).permutation(90)
    known = vectors[kinds == 0][:1]
    first = choose(np.full(90, 0.5), vectors[mixed], 3, diversity="k-centre", known=known)
    assert set(kinds[mixed][first]) == {1, 2, 3}


def test_words_put_texts_of_a_kind_together() -> None:
    texts = ["the bank raised rates", "the bank cut rates", "a striker won", "the striker won"]
    vectors = from_words(texts, dimensions=2)
    near = vectors @ vectors.T
    assert near[0, 1] > near[0, 2]
    assert near[2, 3] > near[1, 3]
    assert from_words(["", "..."]).shape[0] == 2
