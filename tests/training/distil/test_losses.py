from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from gradus.training.distil import losses
from gradus.training.distil.losses import Heads
from gradus.training.packing import Layout

LAYOUT = Layout(((2, 3), (1, 5)))
draw = np.random.default_rng(3)


def tensor(*shape: int) -> torch.Tensor:
    return torch.from_numpy(draw.normal(size=shape)).float()


def kl(p: np.ndarray, q: np.ndarray) -> float:
    """The divergence of two distributions, written out."""
    return math.fsum(float(a) * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))


@given(
    temperature=st.floats(0.5, 8),
    rows=st.integers(1, 4),
    labels=st.integers(2, 6),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25, deadline=None)
def test_soft_is_the_divergence_at_the_temperature_times_its_square(
    temperature: float, rows: int, labels: int, seed: int
) -> None:
    numbers = np.random.default_rng(seed)
    student, teacher = 3 * numbers.normal(size=(2, rows, labels))
    found = losses.soft(
        torch.from_numpy(student),
        torch.from_numpy(log_softmax(teacher / temperature, axis=1)),
        temperature,
    )
    by_hand = math.fsum(
        kl(softmax(t / temperature), softmax(s / temperature))
        for s, t in zip(student, teacher, strict=True)
    )
    assert float(found) == pytest.approx(temperature**2 * by_hand, rel=1e-9, abs=1e-12)
    assert float(found) > 0


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_a_student_that_says_what_its_teacher_says_has_no_soft_loss(temperature: float) -> None:
    logits = tensor(4, 7).double().requires_grad_()
    teacher = torch.log_softmax(logits.detach() / temperature, -1)
    value = losses.soft(logits + 5.0, teacher, temperature)
    value.backward()
    assert float(value) == pytest.approx(0, abs=1e-12)
    assert logits.grad is not None
    assert float(logits.grad.abs().max()) < 1e-12


def test_the_soft_gradient_keeps_its_size_whatever_the_temperature() -> None:
    student, teacher = 0.1 * tensor(5, 4).double(), 0.1 * tensor(5, 4).double()
    norms = []
    for temperature in (1.0, 20.0):
        logits = student.clone().requires_grad_()
        losses.soft(logits, torch.log_softmax(teacher / temperature, -1), temperature).backward()
        assert logits.grad is not None
        norms.append(float(logits.grad.norm()))
    assert norms[1] == pytest.approx(norms[0], rel=0.1)


def test_what_a_teacher_excludes_adds_nothing_and_is_no_nan() -> None:
    teacher = torch.tensor([[math.log(0.5), math.log(0.5), -math.inf]], dtype=torch.float64)
    logits = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    value = losses.soft(logits, teacher, 1.0)
    value.backward()
    assert float(value) == pytest.approx(math.log(3 / 2))
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.tensor([[-1 / 6, -1 / 6, 1 / 3]]).double())


def test_separate_decisions_are_bernoulli_divergences() -> None:
    student, teacher, temperature = 2 * draw.normal(size=(3, 2)), 2 * draw.normal(size=(3, 2)), 3.0
    said = torch.nn.functional.logsigmoid(torch.from_numpy(teacher) / temperature)
    found = losses.soft_binary(torch.from_numpy(student), said, temperature)
    p, q = (1 / (1 + np.exp(-x / temperature)) for x in (teacher, student))
    pairs = zip(p.flatten(), q.flatten(), strict=True)
    by_hand = math.fsum(kl(np.array([a, 1 - a]), np.array([b, 1 - b])) for a, b in pairs)
    assert float(found) == pytest.approx(9 * by_hand, rel=1e-9)
    same = losses.soft_binary(torch.from_numpy(teacher), said, temperature)
    assert float(same) == pytest.approx(0, abs=1e-9)


def test_hidden_states_are_held_against_the_size_of_the_teachers() -> None:
    mine, its = tensor(11, 4), 50 * tensor(11, 4)
    found = losses.hidden_error(mine, its, LAYOUT)
    texts = [slice(0, 3), slice(3, 6), slice(6, 11)]
    one, two = mine.double().numpy(), its.double().numpy()
    by_hand = [((one[t] - two[t]) ** 2).sum() / (two[t] ** 2).sum() for t in texts]
    np.testing.assert_allclose(found.numpy(), by_hand, rtol=1e-5)
    assert losses.hidden_error(its, its, LAYOUT).tolist() == [0, 0, 0]
    assert losses.hidden_error(0 * its, its, LAYOUT).tolist() == pytest.approx([1, 1, 1])


def run_of(
    heads: int, size: int, *, shared: int | None = None, causal: bool = False
) -> list[Heads]:
    found = []
    for n, length in LAYOUT.runs:
        seen = torch.ones(length, length).tril().bool() if causal else None
        few = shared or heads
        rows = (tensor(heads, n, length, size), *(tensor(few, n, length, size) for _ in "kv"))
        found.append(Heads(*rows, scale=size**-0.5, seen=seen))
    return found


@pytest.mark.parametrize("causal", [False, True])
def test_attention_scores_are_compared_before_the_softmax(causal: bool) -> None:
    mine, its = run_of(4, 3, shared=2, causal=causal), run_of(4, 6, causal=causal)
    found = losses.attention_error(mine, its).tolist()
    by_hand = []
    for one, two in zip(mine, its, strict=True):
        heads, n, length, _ = one.query.shape
        for text in range(n):
            squares = []
            for h in range(heads):
                for i in range(length):
                    for j in range(i + 1 if causal else length):
                        key = one.key[h // 2, text, j].double()
                        a = float(one.query[h, text, i].double() @ key)
                        b = float(two.query[h, text, i].double() @ two.key[h, text, j].double())
                        squares.append((a / 3**0.5 - b / 6**0.5) ** 2)
            by_hand.append(sum(squares) / len(squares))
    assert found == pytest.approx(by_hand, rel=1e-4)
    assert losses.attention_error(its, its).tolist() == [0, 0, 0]


@pytest.mark.parametrize("causal", [False, True])
def test_relations_are_distributions_over_the_tokens_that_are_seen(causal: bool) -> None:
    mine, its = run_of(2, 4, causal=causal), run_of(4, 3, shared=2, causal=causal)
    relation_heads = 2
    found = losses.relation_error(mine, its, relation_heads).tolist()
    by_hand = []
    for one, two in zip(mine, its, strict=True):
        _, n, length, _ = one.query.shape
        for text in range(n):
            total = 0.0
            for which in ("query", "key", "value"):
                rows = [getattr(x, which)[:, text].double() for x in (one, two)]
                sides = [r.transpose(0, 1).reshape(length, -1).numpy() for r in rows]
                parts = [np.split(side, relation_heads, axis=1) for side in sides]
                values = []
                for a, b in zip(*parts, strict=True):
                    for i in range(length):
                        end = i + 1 if causal else length
                        q = softmax(a[i] @ a[:end].T / a.shape[1] ** 0.5)
                        p = softmax(b[i] @ b[:end].T / b.shape[1] ** 0.5)
                        values.append(kl(p, q))
                total += sum(values) / len(values)
            by_hand.append(total)
    assert found == pytest.approx(by_hand, rel=1e-4)
    assert losses.relation_error(its, its, 2).tolist() == pytest.approx([0, 0, 0], abs=1e-6)


def test_no_term_has_a_gradient_that_is_no_number() -> None:
    mine, its = run_of(2, 4, causal=True), run_of(2, 4, causal=True)
    for heads in mine:
        heads.query.requires_grad_()
    (losses.relation_error(mine, its, 2).sum() + losses.attention_error(mine, its).sum()).backward()
    for heads in mine:
        assert heads.query.grad is not None
        assert bool(torch.isfinite(heads.query.grad).all())
        assert float(heads.query.grad.abs().sum()) > 0
