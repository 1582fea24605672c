"""Divergences over a vocabulary against float64 and autograd."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from gradus.training.distil.vocabulary import Said, Terms, Top, Weights, Whole
from gradus.training.vocabulary_loss import summed

N, D, V = 70, 5, 23


@dataclass
class Given(Whole):
    """A teacher whose log-probabilities are given."""

    rows: torch.Tensor

    def log_probs(self, rows: slice) -> torch.Tensor:
        return self.rows[rows]


def top(whole: torch.Tensor, k: int) -> Top:
    values, ids = whole.double().topk(k, dim=1)
    rest = whole.double().scatter(1, ids, -torch.inf).logsumexp(dim=1)
    return Top(ids, values.float(), rest.float())


def drawn(seed: int = 0, scale: float = 2.0) -> tuple[torch.Tensor, ...]:
    """Hidden states, weight, bias, targets, and the logits of a teacher."""
    draw = torch.Generator().manual_seed(seed)
    hidden = torch.randn(N, D, generator=draw)
    weight = torch.randn(V, D, generator=draw) * 0.7
    bias = torch.randn(V, generator=draw) * 0.3
    targets = torch.randint(0, V, (N,), generator=draw)
    return hidden, weight, bias, targets, scale * torch.randn(N, V, generator=draw)


def outright(
    logits: torch.Tensor, teacher: torch.Tensor, targets: torch.Tensor, w: Weights, t: float, k: int
) -> torch.Tensor:
    """The weighted sum in float64, over k tokens and the rest as one outcome."""
    p, q = ((x.double() / t).softmax(1) for x in (teacher, logits))
    _, ids = teacher.topk(k, dim=1)

    def merged(x: torch.Tensor) -> torch.Tensor:
        known = x.gather(1, ids)
        if k == V:
            return known
        others = x.scatter(1, ids, 0.0).sum(1, keepdim=True)
        return torch.cat([known, others], dim=1)

    one, two = merged(p), merged(q)
    forward = (one * (one.log() - two.log())).sum()
    reverse = (two * (two.log() - one.log())).sum()
    hard = cross_entropy(logits.double(), targets, reduction="sum")
    return t * t * (w.soft * forward + w.reverse * reverse) + w.hard * hard


@pytest.mark.parametrize("k", [V, 4, 1])
@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize(
    "weights",
    [
        Weights(soft=1.0, hard=0.0),
        Weights(reverse=0.7, hard=0.0),
        Weights(soft=0.5, reverse=0.25, hard=2.0),
    ],
)
def test_value_and_gradients(weights: Weights, live: bool, k: int) -> None:
    if live and k != V:
        return
    hidden, weight, bias, targets, teacher = drawn()
    temperature = 1.7
    whole = (teacher / temperature).log_softmax(1)
    said: Said = Given(whole) if live else top(whole, k)
    made = [x.clone().requires_grad_(True) for x in (hidden, weight, bias)]
    terms = Terms(weights, temperature, targets, said, V)
    value = summed(made[0], made[1], made[2], terms)
    value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    exact = [x.double().clone().requires_grad_(True) for x in (hidden, weight, bias)]
    expected = outright(
        exact[0] @ exact[1].t() + exact[2], teacher, targets, weights, temperature, k
    )
    expected.backward()  # type: ignore[no-untyped-call]  # as above
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    for mine, right in zip(made, exact, strict=True):
        assert mine.grad is not None
        assert right.grad is not None
        torch.testing.assert_close(mine.grad.double(), right.grad, rtol=1e-4, atol=2e-4)
    named = {n for n in ("soft", "reverse", "hard") if getattr(weights, n)}
    assert set(terms.sums) == named
    total = sum(getattr(weights, name) * terms.sums[name] for name in named)
    assert total == pytest.approx(value.item(), rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, V - 1), scale=st.floats(0.1, 6))
def test_what_is_kept_never_says_more_than_all(seed: int, k: int, scale: float) -> None:
    _, _, _, _, teacher = drawn(seed, scale)
    student = drawn(seed + 1, scale)[4]
    whole = teacher.log_softmax(1)
    rows = slice(0, N)
    few = top(whole, k).divergence(student, rows, forward=1, reverse=1)
    more = top(whole, k + 1).divergence(student, rows, forward=1, reverse=1)
    everything = Given(whole).divergence(student, rows, forward=1, reverse=1)
    for a, b, c in zip(few[:2], more[:2], everything[:2], strict=True):
        assert -1e-3 <= float(a) <= float(b) + 1e-3 <= float(c) + 2e-3 + 1e-5 * abs(float(c))


def test_a_student_equal_to_its_teacher_is_no_distance_from_it() -> None:
    _, _, _, targets, teacher = drawn()
    for said in (Given((teacher / 3).log_softmax(1)), top((teacher / 3).log_softmax(1), 5)):
        terms = Terms(Weights(soft=1, reverse=1, hard=0), 3.0, targets, said, V)
        value, gradient = terms(teacher.clone(), slice(0, N))
        assert abs(float(value)) < 1e-3
        assert float(gradient.abs().max()) < 1e-5


def test_a_sure_teacher_stays_finite() -> None:
    teacher = torch.full((N, V), -200.0)
    teacher[:, 3] = 200.0
    student = drawn()[4]
    said = top(teacher.log_softmax(1), 2)
    forward, reverse, gradient = said.divergence(student, slice(0, N), forward=1, reverse=1)
    assert np.isfinite([float(forward), float(reverse)]).all()
    assert bool(gradient.isfinite().all())


def test_tokens_that_the_teachers_lack_count_in_the_hard_loss_alone() -> None:
    _, _, _, targets, teacher = drawn()
    student = drawn(3)[4]
    whole = Given(teacher[:, : V - 3].log_softmax(1))
    terms = Terms(Weights(soft=1, hard=0), 1.0, targets, whole, V - 3)
    _, gradient = terms(student.clone(), slice(0, N))
    assert not bool(gradient[:, V - 3 :].any())
    assert bool(gradient[:, : V - 3].any())
