"""Confident learning against its definition, and on labels that were changed on purpose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.stats.confident import doubts


def brute(probabilities: list[list[float]], given_: list[int]) -> tuple[list, list, list]:
    """The definition, item by item, with loops alone."""
    labels = range(len(probabilities[0]))
    limit = {}
    for j in labels:
        own = [p[j] for p, g in zip(probabilities, given_, strict=True) if g == j]
        if own:
            limit[j] = sum(own) / len(own)
    joint = [[0 for _ in labels] for _ in labels]
    off = []
    for row, (p, g) in enumerate(zip(probabilities, given_, strict=True)):
        reached = [j for j in labels if j in limit and p[j] >= limit[j] - 1e-12]
        if not reached:
            continue
        star = max(reached, key=lambda j: (p[j], -j))
        joint[g][star] += 1
        if star != g:
            off.append((p[g] - max(p[j] for j in labels if j != g), row, star))
    scaled = []
    for i in labels:
        clipped = [max(c, 1) if i == j else c for j, c in enumerate(joint[i])]
        scaled.append([c / sum(clipped) * given_.count(i) for c in clipped])
    everything = sum(map(sum, scaled))
    return joint, [[v / everything for v in row] for row in scaled], sorted(off)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(2, 5).flatmap(
        lambda k: st.tuples(
            st.lists(
                st.tuples(
                    st.lists(st.integers(1, 50), min_size=k, max_size=k), st.integers(0, k - 1)
                ),
                min_size=1,
                max_size=40,
            )
        )
    )
)
def test_it_is_the_definition(drawn) -> None:
    (rows,) = drawn
    probabilities = np.array([np.array(p) / sum(p) for p, _ in rows])
    labels = [g for _, g in rows]
    joint, calibrated, off = brute(probabilities.tolist(), labels)
    found = doubts(probabilities, np.array(labels))
    assert found.confident.tolist() == joint
    assert found.joint == pytest.approx(np.array(calibrated))
    assert found.joint.sum() == pytest.approx(1)
    # Margins are sums of floats, so a tie may fall either way; the set and the order stand.
    assert sorted(found.rows.tolist()) == sorted(row for _, row, _ in off)
    assert found.margin == pytest.approx([margin for margin, _, _ in off])
    star = {row: to for _, row, to in off}
    assert [star[row] for row in found.rows.tolist()] == found.suggested.tolist()


@pytest.mark.parametrize(
    ("labels", "wrong", "recall"), [(2, 0.1, 0.9), (4, 0.15, 0.9), (8, 0.1, 0.75)]
)
def test_planted_faults_are_found(labels: int, wrong: float, recall: float) -> None:
    """A logistic regression's out-of-fold probabilities on blobs of which some labels were changed.

    The blobs overlap a little, so no way of finding faults finds all of them and only them. With
    many labels a fault's probability is spread, and more of them reach no threshold.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    rng, n = np.random.default_rng(labels), 2000
    true = rng.integers(0, labels, n)
    centres = rng.normal(0, 1, (labels, 12)) * 1.6
    features = centres[true] + rng.normal(0, 1.0, (n, 12))
    faulty = rng.random(n) < wrong
    given_ = np.where(faulty, (true + rng.integers(1, labels, n)) % labels, true)
    rows = cross_val_predict(
        LogisticRegression(max_iter=500), features, given_, cv=5, method="predict_proba"
    )
    found = doubts(rows, given_)
    hit = faulty[found.rows].sum()
    assert hit / len(found.rows) > 0.9, "precision"
    assert hit / faulty.sum() > recall, "recall"
    assert found.expected == pytest.approx(faulty.sum(), rel=0.2)
    top = found.rows[: int(faulty.sum() // 2)]
    assert faulty[top].mean() > 0.97
    true_of = true[found.rows[faulty[found.rows]]]
    assert (found.suggested[faulty[found.rows]] == true_of).mean() > 0.97


def test_clean_labels_raise_few_doubts() -> None:
    rng, n = np.random.default_rng(0), 3000
    given_ = rng.integers(0, 3, n)
    rows = np.full((n, 3), 0.02)
    rows[np.arange(n), given_] = 0.96
    found = doubts(rows, given_)
    assert len(found.rows) == 0
    assert found.expected == pytest.approx(0)


def test_a_label_without_items_or_confidence() -> None:
    rows = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.6, 0.4, 0.0]])
    found = doubts(rows, np.array([0, 1, 0]))
    assert np.isnan(found.thresholds[2])
    assert found.joint[2].sum() == 0
    with pytest.raises(ValueError, match="don't fit"):
        doubts(rows, np.array([0, 1]))
    with pytest.raises(ValueError, match="none can be wrong"):
        doubts(np.ones((3, 1)), np.array([0, 0, 0]))


def test_a_label_that_always_looks_like_another() -> None:
    """All ten of its items are listed, but not all of a label's items can be wrong: by the counts
    [[20, 0], [10, 1]] ten in eleven are."""
    rows = np.array([[0.9, 0.1]] * 20 + [[0.92, 0.08]] * 10)
    found = doubts(rows, np.array([0] * 20 + [1] * 10))
    assert sorted(found.rows.tolist()) == list(range(20, 30))
    assert found.expected == pytest.approx(10 * 10 / 11)
