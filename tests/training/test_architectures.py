"""Published sizes to the parameter, shapes from one dial, weights drawn as the papers say."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gradus.training.architectures import (
    ARCHITECTURES,
    ArchitectureConfig,
    Special,
    recipe,
)

SMALL = {"layers": 2, "width": 32, "heads": 4}


def made(vocabulary: int = 97, block: int = 16, **said: Any) -> Any:
    config = ArchitectureConfig(**said)
    known = ARCHITECTURES[config.architecture]
    return known.make(config, config.shape(block), Special(vocabulary, 0, 0, 0))


def counted(vocabulary: int, **said: Any) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in made(vocabulary, **said).parameters())


@pytest.mark.parametrize(
    ("size", "parameters"),
    [
        ("small", 124_439_808),
        ("medium", 354_823_168),
        ("large", 774_030_080),
        ("xl", 1_557_611_200),
    ],
)
def test_the_four_sizes_of_gpt2_have_their_parameters(size: str, parameters: int) -> None:
    assert counted(50_257, architecture="gpt2", size=size) == parameters


@pytest.mark.parametrize(
    ("architecture", "size", "vocabulary", "parameters"),
    [
        ("gpt1", "base", 40_478, 116_534_784),
        ("llama", "7b", 32_000, 6_738_415_616),
        ("bert", "base", 30_522, 109_514_298),
    ],
)
def test_other_published_models_have_theirs(
    architecture: str, size: str, vocabulary: int, parameters: int
) -> None:
    assert counted(vocabulary, architecture=architecture, size=size) == parameters


def test_gpt2_is_drawn_as_published() -> None:
    torch.manual_seed(0)
    layers = 8
    model = made(3000, architecture="gpt2", layers=layers, width=128, block=512)
    spread = {name: float(p.detach().std()) for name, p in model.named_parameters() if p.ndim > 1}
    residual = 0.02 / math.sqrt(2 * layers)
    for name, value in spread.items():
        expected = residual if "c_proj" in name else 0.01 if "wpe" in name else 0.02
        assert value == pytest.approx(expected, rel=0.05), name
    vectors = {n: p for n, p in model.named_parameters() if p.ndim == 1}
    assert all(bool((p == float("weight" in n)).all()) for n, p in vectors.items())


def test_gpt2_has_a_norm_at_the_end_and_gpt1_norms_after_each_part() -> None:
    torch.manual_seed(0)
    ids = torch.arange(12)[None]
    new, old = made(architecture="gpt2", **SMALL), made(architecture="gpt1", **SMALL)
    assert hasattr(new.base_model, "ln_f")
    assert not hasattr(old.base_model, "ln_f")
    with torch.no_grad():
        states = old.eval().base_model(ids, output_hidden_states=True).hidden_states
        first = new.eval().base_model(ids, output_hidden_states=True).hidden_states[1]
    for state in states[1:]:
        assert torch.allclose(state.mean(-1), torch.zeros(1, 12), atol=1e-5)
        assert torch.allclose(state.var(-1, unbiased=False), torch.ones(1, 12), atol=1e-2)
    assert not torch.allclose(first.var(-1, unbiased=False), torch.ones(1, 12), atol=1e-1)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_the_same_seed_draws_the_same_weights_and_nobody_elses(architecture: str) -> None:
    from gradus.sources.characters import build_tokenizer
    from gradus.training.architectures import build

    tokenizer = build_tokenizer(16)
    config = ArchitectureConfig(architecture=architecture, **SMALL)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, two, other = (build(config, tokenizer, block=16, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    named = dict(two.named_parameters())
    assert all(torch.equal(p, named[n]) for n, p in one.named_parameters())
    embeddings = one.get_input_embeddings().weight
    assert not torch.equal(embeddings, other.get_input_embeddings().weight)
    assert len(embeddings) == len(tokenizer)


def test_a_head_may_have_a_matrix_of_its_own() -> None:
    for architecture, usual in (("gpt2", True), ("llama", False)):
        for tied in (None, True, False):
            model = made(architecture=architecture, tied=tied, **SMALL)
            same = model.get_output_embeddings().weight is model.get_input_embeddings().weight
            assert same == (usual if tied is None else tied)


@given(depth=st.integers(1, 48), architecture=st.sampled_from(sorted(ARCHITECTURES)))
def test_depth_settles_width_and_heads(depth: int, architecture: str) -> None:
    shape = ArchitectureConfig(architecture=architecture, depth=depth).shape(256)
    assert (shape.layers, shape.width, shape.heads) == (depth, 64 * depth, depth)
    assert shape.positions == 256


def test_depth_12_is_gpt2_small() -> None:
    small = ArchitectureConfig(architecture="gpt2", size="small").shape(1024)
    assert ArchitectureConfig(architecture="gpt2", depth=12).shape(1024) == small


def test_a_recipe_by_hand() -> None:
    shape = ArchitectureConfig(architecture="gpt2", depth=12).shape(1024)
    found = recipe(shape, 1024)
    # 84,934,656 weights; 20 tokens each; 72 N d^2 + 12 N d block operations a token.
    assert found.tokens == 20 * 84_934_656
    compute = (72 * 12 * 768**2 + 12 * 12 * 768 * 1024) * 20 * 84_934_656
    assert found.batch_tokens == pytest.approx(0.2920 * compute**0.3271, rel=1e-3)
    assert found.lr == pytest.approx(0.3118 * compute**-0.1250, rel=0.05)


@given(depth=st.integers(1, 40))
def test_deeper_models_take_larger_batches_at_lower_rates(depth: int) -> None:
    one, two = (
        recipe(ArchitectureConfig(architecture="llama", depth=d).shape(256), 256)
        for d in (depth, depth + 1)
    )
    assert one.batch_tokens <= two.batch_tokens
    assert one.lr >= two.lr > 0
    assert one.tokens < two.tokens


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"architecture": "gpt3", "layers": 2}, "did you mean 'gpt2'"),
        ({"architecture": "gpt2"}, "one of size, depth and layers"),
        ({"architecture": "gpt2", "layers": 2, "depth": 2}, "one of size, depth and layers"),
        ({"architecture": "gpt2", "size": "smal"}, "did you mean 'small'"),
        ({"architecture": "gpt2", "size": "small", "width": 64}, "settles the width"),
        ({"architecture": "gpt2", "layers": 2, "width": 30, "heads": 4}, "a divisor of the width"),
        ({"architecture": "gpt2", "layers": 2, "kv_heads": 1}, "for every head"),
        ({"architecture": "llama", "layers": 2, "heads": 2, "kv_heads": 3}, "evenly"),
        ({"architecture": "bert", "layers": 2, "tied": False}, "always shares"),
        ({"architecture": "gpt1", "layers": 2, "inner": 64}, "four times the width"),
        ({"architecture": "bert", "layers": 2, "heigth": 2}, "heigth"),
    ],
)
def test_what_makes_no_model_is_refused(said: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ArchitectureConfig(**said)
