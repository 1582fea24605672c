"""Mixtures of teachers against float64 written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, softmax

from gradus.training.teachers.ablation import ablation
from gradus.training.teachers.base import NOTHING, Ensemble, TeacherOutputs
from gradus.training.teachers.config import shares

R, K = 7, 4
ROWS = torch.tensor([5, 0, 3, 3])


class Given(TeacherOutputs):
    """A teacher whose logits are given."""

    def __init__(self, name: str, logits: np.ndarray, *, separate: bool = False) -> None:
        self.name, self.separate, self._logits = name, separate, torch.from_numpy(logits).float()

    @property
    def shape(self) -> tuple[int, int]:
        return (self._logits.shape[0], self._logits.shape[1])

    def logits(self, rows: torch.Tensor) -> torch.Tensor:
        return self._logits[rows]


def given(count: int = 3, *, separate: bool = False) -> list[Given]:
    draw = np.random.default_rng(4)
    return [
        Given(f"t{i}", 3 * draw.standard_normal((R, K)), separate=separate) for i in range(count)
    ]


def raw(teachers: list[Given]) -> np.ndarray:
    """float64 [M, n, K]."""
    return np.stack([t.logits(ROWS).double().numpy() for t in teachers])


GOLD = torch.tensor([1, NOTHING, 0, 2])


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_fixed_weights_mix_probabilities(temperature: float) -> None:
    teachers = given()
    mixed = Ensemble(teachers, weights=[2, 1, 1]).log_probs(ROWS, temperature=temperature)
    expected = np.tensordot([0.5, 0.25, 0.25], softmax(raw(teachers) / temperature, axis=-1), 1)
    np.testing.assert_allclose(mixed.exp().numpy(), expected, rtol=2e-5)


def test_one_teacher_is_itself() -> None:
    (teacher,) = given(1)
    for weighting in ("fixed", "agreement", "confidence"):
        found = Ensemble([teacher], weighting=weighting).log_probs(ROWS, GOLD, 2.0)
        np.testing.assert_allclose(
            found.numpy(), log_softmax(raw([teacher])[0] / 2, axis=-1), atol=2e-6
        )


def test_agreement_weighs_by_the_probability_of_gold() -> None:
    teachers = given()
    weights = Ensemble(teachers, weights=[2, 1, 1], weighting="agreement").weights(ROWS, GOLD)
    probabilities = softmax(raw(teachers), axis=-1)
    for place, gold in enumerate(GOLD.tolist()):
        right = np.ones(3) if gold == NOTHING else probabilities[:, place, gold]
        expected = np.array([0.5, 0.25, 0.25]) * right
        np.testing.assert_allclose(weights[place].numpy(), expected / expected.sum(), rtol=1e-5)


def test_confidence_weighs_by_one_over_the_perplexity() -> None:
    teachers = given()
    weights = Ensemble(teachers, weighting="confidence").weights(ROWS)
    p = softmax(raw(teachers), axis=-1)
    inverse = np.exp((p * np.log(p)).sum(-1)).T
    np.testing.assert_allclose(weights.numpy(), inverse / inverse.sum(1, keepdims=True), rtol=1e-5)


def test_separate_decisions_are_mixed_one_by_one() -> None:
    teachers = given(2, separate=True)
    gold = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 1], [float("nan")] * 4, [1, 1, 1, 1]])
    ensemble = Ensemble(teachers, weighting="agreement")
    p = expit(raw(teachers))
    yes = gold.numpy()
    right = np.where(yes == 1, p, 1 - p).prod(axis=-1)
    right[:, 2] = 1.0
    expected = (right / right.sum(0)).T
    np.testing.assert_allclose(ensemble.weights(ROWS, gold).numpy(), expected, rtol=1e-4)
    mixed = (expected.T[..., None] * p).sum(0)
    np.testing.assert_allclose(ensemble.log_probs(ROWS, gold).exp().numpy(), mixed, rtol=1e-4)


def test_learned_weights_begin_as_given_and_fall_towards_who_is_right() -> None:
    good, bad = np.zeros((R, K)), np.zeros((R, K))
    good[:, 1], bad[:, 2] = 3.0, 3.0
    ensemble = Ensemble(
        [Given("good", good), Given("bad", bad)], weights=[1, 3], weighting="learned"
    )
    assert ensemble.facts() == pytest.approx({"good": 0.25, "bad": 0.75})
    rows, gold = torch.arange(R), torch.ones(R, dtype=torch.int64)
    assert ensemble.scores is not None
    p = softmax(np.stack([good, bad]), axis=-1)
    expected = -R * np.log(0.25 * p[0, 0, 1] + 0.75 * p[1, 0, 1])
    assert ensemble.loss(rows, gold).item() == pytest.approx(expected, rel=1e-5)
    optimiser = torch.optim.Adam(ensemble.parameters(), lr=1e-3)
    for _ in range(300):
        optimiser.zero_grad()
        ensemble.loss(rows, gold).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
    assert ensemble.facts()["good"] > 0.95
    assert not ensemble.log_probs(rows, gold).requires_grad


def test_loss_of_rows_without_gold_is_nothing() -> None:
    ensemble = Ensemble(given(2), weighting="learned")
    some = ensemble.loss(ROWS, GOLD)
    kept = ensemble.loss(ROWS[GOLD >= 0], GOLD[GOLD >= 0])
    assert float(some.detach()) == pytest.approx(float(kept.detach()), rel=1e-6)
    assert float(Ensemble(given(2)).loss(ROWS, GOLD)) == 0.0


def test_without_one_the_others_keep_their_shares() -> None:
    ensemble = Ensemble(given(), weights=[1, 2, 5])
    assert ensemble.without("t2").facts() == pytest.approx({"t0": 1 / 3, "t1": 2 / 3})


def test_shares() -> None:
    assert shares("tuned") == {"tuned": 1.0}
    assert shares(("a", "b")) == {"a": 0.5, "b": 0.5}
    with pytest.raises(ValueError, match="'a' stands there twice"):
        shares(("a", "b", "a"))


def rows_of(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["teachers"]: row for row in found}


def test_ablation_by_hand() -> None:
    teachers = given()
    draw = np.random.default_rng(9)
    student = log_softmax(draw.standard_normal((R, K)), axis=-1)
    gold = draw.integers(0, K, R)
    found = rows_of(
        ablation(
            Ensemble(teachers, weights=[2, 1, 1]),
            torch.from_numpy(student),
            torch.from_numpy(gold),
            target="label",
        )
    )
    assert list(found) == ["t0", "t1", "t2", "all", "all but t0", "all but t1", "all but t2"]
    logits = np.stack([t.logits(torch.arange(R)).double().numpy() for t in teachers])
    p = softmax(logits, axis=-1)
    cases = {"t1": p[1], "all": np.tensordot([0.5, 0.25, 0.25], p, 1)}
    cases["all but t0"] = (p[1] + p[2]) / 2
    for name, mixed in cases.items():
        row = found[name]
        kl = (mixed * (np.log(mixed) - student)).sum(1).mean()
        assert row["student_soft_loss"] == pytest.approx(kl, rel=1e-5)
        assert row["accuracy"] == pytest.approx((mixed.argmax(1) == gold).mean())
        assert row["loss"] == pytest.approx(-np.log(mixed[np.arange(R), gold]).mean(), rel=1e-5)
        same = (mixed.argmax(1) == student.argmax(1)).mean()
        assert row["student_agreement"] == pytest.approx(same)
    assert found["t0"]["weight"] == pytest.approx(0.5)


def test_a_student_equal_to_its_teacher_is_no_distance_from_it() -> None:
    for target in ("label", "labels"):
        (teacher,) = given(1, separate=target == "labels")
        student = teacher.log_probs(torch.arange(R)).double()
        gold = torch.zeros(R, K) if target == "labels" else torch.zeros(R, dtype=torch.int64)
        (row,) = ablation(Ensemble([teacher]), student, gold, target=target)
        assert abs(row["student_soft_loss"]) < 1e-6
        assert row["student_agreement"] == 1.0
