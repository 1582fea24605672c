"""Causal attention in blocks against the written-out formula."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from gradus.training.triangle import ROWS, causal_attention


def _drawn(*shape: int, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(sum(shape))
    made = [torch.randn(*shape, dtype=dtype, generator=draw) for _ in range(4)]
    return [each.requires_grad_(number < 3) for number, each in enumerate(made)]


@pytest.mark.parametrize("length", [1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS, 3 * ROWS + 7])
def test_outputs_and_gradients_are_those_of_the_formula(length: int) -> None:
    query, key, value, given = _drawn(3, length, 8)
    seen = torch.ones(length, length, dtype=torch.bool).tril()
    scores = (query @ key.transpose(1, 2) * 0.3).masked_fill(~seen, -torch.inf)
    expected = scores.softmax(-1) @ value
    found = causal_attention(query, key, value, 0.3)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    inputs = (query, key, value)
    for ours, theirs in zip(
        torch.autograd.grad(found, inputs, given),
        torch.autograd.grad(expected, inputs, given),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-11)


def test_in_bfloat16_it_errs_about_as_much_as_the_fused_kernel() -> None:
    query, key, value, given = _drawn(6, 200, 64)
    inputs = (query, key, value)
    truth = torch.autograd.grad(causal_attention(*inputs, 0.125), inputs, given)
    small = [each.detach().bfloat16().requires_grad_() for each in inputs]
    ours = torch.autograd.grad(causal_attention(*small, 0.125), small, given.bfloat16())
    fused = scaled_dot_product_attention(*(e[None] for e in small), is_causal=True, scale=0.125)[0]
    theirs = torch.autograd.grad(fused, small, given.bfloat16())
    for true, mine, peer in zip(truth, ours, theirs, strict=True):
        error, usual = ((each - true).square().mean().sqrt() for each in (mine, peer))
        assert error < 2 * usual


def test_tensors_of_several_widths_are_taken_as_the_narrowest() -> None:
    """Under autocast an adapter's product may stay wider than its neighbours."""
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 100, 16, requires_grad=True) for _ in range(3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = causal_attention(query, key, value.bfloat16(), 0.25)
    found.float().square().sum().backward()
    wanted = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=0.25
    )
    torch.testing.assert_close(found.float(), wanted, atol=0.05, rtol=0.05)
    assert query.grad is not None
    assert torch.isfinite(query.grad).all()
