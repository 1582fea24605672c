"""Rounding layers against float64 by hand; their gradient; their leaving no trace."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from gradus.compress.rounded import rounded, rounding

from .classifiers import make_backbone


def on_grid(values: np.ndarray, axis: int) -> np.ndarray:
    scale = np.maximum(np.abs(values).max(axis, keepdims=True), 1e-12) / 127
    return np.asarray(np.clip(np.rint(values / scale), -127, 127) * scale)


def test_a_layer_computes_what_integers_would() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(24, 8)
    x = torch.randn(5, 24)
    x[0] *= 40
    x[1] = 0
    weights, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    expected = on_grid(x.double().numpy(), 1) @ on_grid(weights, 1).T + bias
    with rounding(nn.Sequential(layer)) as count:
        assert count == 1
        found = layer(x).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    assert type(layer) is nn.Linear
    assert not np.allclose(found, layer(x).detach().numpy(), atol=1e-4)


def test_the_gradient_passes_as_if_nothing_was_rounded() -> None:
    values = torch.randn(3, 7, requires_grad=True)
    factor = torch.randn(3, 7)
    (rounded(values, 1) * factor).sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad, factor)


def test_names_and_weights_of_a_model_stay() -> None:
    for family in ("bert", "gpt2", "llama"):
        model = make_backbone(family)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        ids = torch.tensor([[4, 5, 6, 7]])
        plain = model(input_ids=ids).last_hidden_state
        with rounding(model) as count:
            assert count >= 8
            assert list(model.state_dict()) == list(before)
            coarse = model(input_ids=ids).last_hidden_state
        assert 0 < (coarse - plain).abs().max() < 0.5 * plain.abs().max()
        torch.testing.assert_close(model(input_ids=ids).last_hidden_state, plain)
        assert all(torch.equal(value, before[n]) for n, value in model.state_dict().items())
