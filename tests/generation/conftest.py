from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from tests.scoring.causal import make_causal_lm, make_tokenizer

from gradus.generation import decoder
from gradus.generation.base import Generator
from gradus.generation.plain import PlainGenerator
from gradus.generation.torch_backend import TorchGenerator

TEXTS = (
    "The river rose in the night, and the bridge was closed before the first train came.",
    "She counted the boats again. There were nine; one was missing, as he had said.",
    "“Where?” asked the guard. Nobody knew – not even the captain’s own men.",
)


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Models this small only wait for one another's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def tokenizer() -> Any:
    return make_tokenizer(TEXTS)


def make_model(family: str, tokenizer: Any, positions: int = 256) -> Any:
    """A tiny model of a family over the tokenizer's vocabulary, with far from uniform output."""
    import transformers as t

    if family not in ("llama", "gpt2", "qwen3", "qwen"):
        return make_causal_lm(family)
    torch.manual_seed(5)
    common = {"vocab_size": len(tokenizer), "bos_token_id": 0, "eos_token_id": None}
    decoder_config = {
        **common,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": positions,
    }
    makers: dict[str, Callable[[], Any]] = {
        "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**decoder_config)),
        "qwen": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(**decoder_config)),
        "qwen3": lambda: t.Qwen3ForCausalLM(t.Qwen3Config(**decoder_config, head_dim=8)),
        "gpt2": lambda: t.GPT2LMHeadModel(
            t.GPT2Config(**common, n_embd=32, n_layer=2, n_head=4, n_positions=positions)
        ),
    }
    model = makers[family]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def make_generator(
    family: str,
    tokenizer: Any,
    *,
    plain: bool = False,
    ends: frozenset[int] = frozenset(),
    limit: int | None = 256,
    slots: int = 4096,
    dtype: torch.dtype = torch.float32,
) -> Generator:
    """A generator over `make_model`."""
    model = make_model(family, tokenizer)
    common: dict[str, Any] = {
        "ends": ends,
        "limit": limit,
        "contract": {"dtype": str(dtype), "backend": "torch", "tokenizer": "tiny"},
        "digest": family,
    }
    if plain:
        return PlainGenerator(model.to(dtype), tokenizer, **common)
    found = decoder.of(model, dtype)
    assert found is not None
    return TorchGenerator(found, tokenizer, slots=slots, **common)
