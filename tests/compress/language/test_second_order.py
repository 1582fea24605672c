"""Rounding that makes up for its errors, against plain rounding and all choices of integers."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from gradus.compress.language import second_order
from gradus.compress.language.rounding import matrices, rounded
from gradus.errors import CheckpointError
from gradus.scoring.load import find, load_causal_lm
from gradus.testing import World

from .conftest import TEXTS, tiny


def lost(weight: torch.Tensor, found: Any, inputs: torch.Tensor) -> float:
    """The squared error of the products, tr(E X'X E')."""
    error = (weight - found.weights()).double()
    return float((error @ inputs.double() * error).sum())


def test_inputs_that_share_nothing_are_plain_rounding() -> None:
    weight = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    found = second_order.compensated(weight, torch.eye(12))
    assert torch.equal(found.values, rounded(weight, 8).values)
    assert torch.equal(found.scales, rounded(weight, 8).scales)


@pytest.mark.parametrize("columns", [64, 200])
def test_products_lose_less(columns: int) -> None:
    draw = torch.Generator().manual_seed(1)
    weight = torch.randn(48, columns, generator=draw)
    x = torch.randn(500, 8, generator=draw) @ torch.randn(8, columns, generator=draw)
    inputs = (x + 0.1 * torch.randn(x.shape, generator=draw)).T.float()
    inputs = inputs @ inputs.T
    plain, made = rounded(weight, 8), second_order.compensated(weight, inputs)
    assert made.values.abs().max() <= 127
    assert lost(weight, made, inputs) < 0.5 * lost(weight, plain, inputs)


def test_it_is_near_the_best_of_all_choices() -> None:
    """Each of three weights up or down: of the 8 choices the one found is among the best three."""
    draw = torch.Generator().manual_seed(3)
    for _ in range(20):
        weight = torch.randn(1, 3, generator=draw)
        x = torch.randn(40, 2, generator=draw) @ torch.randn(2, 3, generator=draw)
        inputs = x.T @ x
        made = second_order.compensated(weight, inputs)
        down = (weight / made.scales).floor()
        errors = sorted(
            lost(
                weight,
                type(made)(
                    (down + torch.tensor([up])).clamp(-127, 127).to(torch.int8), made.scales, 8
                ),
                inputs,
            )
            for up in itertools.product((0, 1), repeat=3)
        )
        assert lost(weight, made, inputs) <= errors[2] + 1e-9


def test_products_are_those_of_the_inputs(tokenizer: Any) -> None:
    """By hand for one layer; the three that share an input share one matrix."""
    model = tiny("llama", tokenizer)
    texts = [tokenizer(text)["input_ids"] for text in TEXTS[:3]]
    found = second_order.products(model, texts)
    assert set(found) == {
        n for n, m in matrices(model).items() if m is not model.get_input_embeddings()
    }
    hand = torch.zeros(model.config.hidden_size, model.config.hidden_size)
    with torch.inference_mode():
        for ids in texts:
            hidden = model.model.embed_tokens(torch.tensor(ids))
            x = model.model.layers[0].input_layernorm(hidden)
            hand += x.T @ x
    name = "model.layers.0.self_attn"
    torch.testing.assert_close(found[f"{name}.q_proj"], hand)
    assert found[f"{name}.q_proj"] is found[f"{name}.v_proj"]


def test_the_step_has_a_head_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    folder.mkdir()
    world = World(folder)
    config = {"model": "lm", "corpus": "plays", "scheme": "language-int8-gptq"}
    outcome = world.run("quantize", config, tmp_path / "small")
    assert outcome.checkpoint is not None
    child = load_causal_lm(find(outcome.checkpoint))
    assert not torch.equal(child.lm_head.weight, child.get_input_embeddings().weight)
    assert outcome.facts["calibration_tokens"] > 0
    again = world.run("quantize", config, tmp_path / "again")
    assert again.facts["digest"] == outcome.facts["digest"]


def test_without_a_corpus_it_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    folder.mkdir()
    config = {"model": "lm", "data": "news", "scheme": "language-int8-gptq"}
    with pytest.raises(CheckpointError, match="name a corpus"):
        World(folder).run("quantize", config, tmp_path / "small")
