"""Cross-entropy in chunks against autograd in float64, and how much of it is ever held."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from gradus.training import vocabulary_loss
from gradus.training.vocabulary_loss import read, summed_loss

N, D, V = 150, 24, 211


def drawn(bias: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    hidden = torch.randn(N, D, generator=draw)
    weight = torch.randn(V, D, generator=draw) * 0.7
    shift = torch.randn(V, generator=draw) if bias else None
    return hidden, weight, shift, torch.randint(0, V, (N,), generator=draw)


def by_hand(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    targets: torch.Tensor,
    z_loss: float,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Summed cross-entropy and gradients of it with the z term, in float64."""
    leaves = [t.double().requires_grad_() for t in (hidden, weight, bias) if t is not None]
    logits = leaves[0] @ leaves[1].T + (leaves[2] if bias is not None else 0.0)
    value = cross_entropy(logits, targets, reduction="sum")
    (value + z_loss * logits.logsumexp(1).square().sum()).backward()
    return value.detach(), [leaf.grad for leaf in leaves if leaf.grad is not None]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("z_loss", [0.0, 1e-2])
@pytest.mark.parametrize("chunk", [1, 100 * V, 1 << 20])
def test_value_and_gradients_are_those_of_the_whole(
    bias: bool, z_loss: float, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary_loss, "CHUNK_NUMBERS", chunk)
    hidden, weight, shift, targets = drawn(bias)
    expected, gradients = by_hand(hidden, weight, shift, targets, z_loss)
    leaves = [t.requires_grad_() for t in (hidden, weight, shift) if t is not None]
    value = summed_loss(hidden, weight, shift, targets, z_loss=z_loss)
    (value / 7).backward()
    assert float(value.detach()) == pytest.approx(float(expected), rel=1e-6)
    for leaf, wanted in zip(leaves, gradients, strict=True):
        assert leaf.grad is not None
        assert torch.allclose(leaf.grad.double(), wanted / 7, rtol=1e-4, atol=1e-5)


def test_in_bfloat16_it_is_near() -> None:
    hidden, weight, shift, targets = drawn(bias=True)
    expected, (of_hidden, of_weight, _) = by_hand(hidden, weight, shift, targets, 0.0)
    hidden.requires_grad_()
    weight.requires_grad_()
    value = summed_loss(hidden, weight, shift, targets, dtype=torch.bfloat16)
    value.backward()
    assert float(value.detach()) == pytest.approx(float(expected), rel=1e-2)
    assert hidden.grad is not None
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32
    assert (hidden.grad - of_hidden).norm() < 0.02 * of_hidden.norm()
    assert (weight.grad - of_weight).norm() < 0.02 * of_weight.norm()


def test_large_logits_do_not_overflow() -> None:
    hidden, weight = torch.full((2, 1), 1e4), torch.tensor([[1.0], [-1.0]])
    value = summed_loss(hidden, weight, None, torch.tensor([0, 1]))
    assert float(value.detach()) == pytest.approx(2e4)


def test_reading_gives_each_target_and_whether_it_is_the_likeliest() -> None:
    hidden, weight, shift, targets = drawn(bias=True)
    assert shift is not None
    logits = hidden.double() @ weight.double().T + shift.double()
    # A third of the targets are made the likeliest ones.
    targets[::3] = logits.argmax(1)[::3]
    found, first = read(hidden, weight, shift, targets)
    expected = cross_entropy(logits, targets, reduction="none")
    assert torch.allclose(found.double(), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(first, logits.argmax(1) == targets)
    assert bool(first[::3].all())
    assert not bool(first.all())


class Largest(TorchDispatchMode):
    """The most numbers that any tensor inside the block has."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for each in found if isinstance(found, tuple | list) else (found,):
            if isinstance(each, torch.Tensor):
                self.numbers = max(self.numbers, each.numel())
        return found


def test_no_more_than_a_group_of_gradients_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary_loss, "GROUP_NUMBERS", 1 << 22)
    rows, vocabulary = 2048, 4096
    hidden = torch.randn(rows, 8, requires_grad=True)
    weight = torch.randn(vocabulary, 8, requires_grad=True)
    with Largest() as largest:
        summed_loss(hidden, weight, None, torch.zeros(rows, dtype=torch.int64)).backward()
    assert largest.numbers <= vocabulary_loss.GROUP_NUMBERS < rows * vocabulary
