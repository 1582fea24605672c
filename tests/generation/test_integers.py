"""Matrices of integers in a decoder, against the products of what they stand for in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gradus.compress.language.rounding import matrices, rounded, weight_of
from gradus.compress.language.run import compare, of_model
from gradus.generation import decoder
from gradus.generation.cache import Cache
from gradus.generation.integers import FEW, IntegerLayout, IntegerMatrix
from gradus.parity.base import Bounds


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("columns", [32, 40, 96])
@pytest.mark.parametrize("outputs", [48, 50])
@pytest.mark.parametrize("rows", [1, 5, FEW, FEW + 1])
def test_products_are_those_of_the_weights(
    bits: Any, columns: int, outputs: int, rows: int
) -> None:
    draw = torch.Generator().manual_seed(rows)
    weights = rounded(torch.randn(outputs, columns, generator=draw), bits)
    bias = torch.randn(outputs, generator=draw).to(torch.bfloat16)
    x, to = (torch.randn(rows, n, generator=draw).to(torch.bfloat16) for n in (columns, outputs))
    matrix = IntegerMatrix(weights, bias)
    exact = x.double() @ weights.weights(torch.float64).T + bias.double()
    # Sums of bfloat16 products, rounded to bfloat16 once or twice.
    tolerance = exact.abs().max() / 128 + 1e-3
    assert (matrix(x).double() - exact).abs().max() <= tolerance
    assert (matrix.added(x, to).double() - exact - to.double()).abs().max() <= 2 * tolerance


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2"])
@pytest.mark.parametrize("bits", [4, 8])
def test_the_decoder_says_what_the_rounded_model_says(family: str, bits: Any) -> None:
    from tests.compress.language.conftest import byte_level, tiny

    model = tiny(family, byte_level())
    integers = {}
    with torch.no_grad():
        for name, module in matrices(model).items():
            found = rounded(weight_of(module), bits)
            integers[f"{name}.weight"] = found
            weight_of(module).copy_(found.weights())
    made = decoder.of(model, torch.bfloat16, layout=IntegerLayout(model, integers))
    assert made is not None

    def logits(ids: Any) -> torch.Tensor:
        cache = Cache(made.shape, made.dtype)
        cache.every = True
        cache.begin(1, len(ids))
        with torch.inference_mode():
            hidden = made.feed(torch.tensor([ids]), torch.arange(len(ids))[None], cache)
            return made.logits(hidden)

    found = compare(of_model(model), logits, [list(range(5, 17))], "integers", Bounds(kl=0.02))
    assert found.holds, found
    assert found.kl is not None
    assert found.kl > 0
