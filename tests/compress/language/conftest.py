"""Tiny language models of two families, with a tokenizer of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

TEXTS = [
    "The committee meets again on Thursday, and nobody knows why.",
    "Shares rose by 3.4 % after the company said that it would buy back stock.",
    "Rain, rain and more rain; it's what we've come to expect in 2024!",
    "Why was I charged twice for the same transfer?",
]


def byte_level(vocabulary: int = 320) -> Any:
    """A byte-level BPE learnt from a few sentences."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(TEXTS * 4, trainer)
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=end, eos_token=end, unk_token=end, pad_token=end
    )


def tiny(family: str, tokenizer: Any, *, tied: bool = True) -> Any:
    """A model from random weights, large enough that every kernel takes its matrices."""
    import torch
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        LlamaConfig,
        LlamaForCausalLM,
        Qwen2Config,
        Qwen2ForCausalLM,
    )

    torch.manual_seed(1)
    size, end = len(tokenizer), tokenizer.eos_token_id
    common: dict[str, Any] = {"vocab_size": size, "bos_token_id": end, "eos_token_id": end}
    if family == "gpt2":
        config: Any = GPT2Config(n_embd=64, n_layer=2, n_head=4, n_positions=1024, **common)
        return GPT2LMHeadModel(config).eval()
    shape: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "tie_word_embeddings": tied,
        "initializer_range": 0.2,
    }
    if family == "qwen2":
        return Qwen2ForCausalLM(Qwen2Config(**common, **shape)).eval()
    return LlamaForCausalLM(LlamaConfig(**common, **shape)).eval()


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return byte_level()


@pytest.fixture(params=["llama", "gpt2", "qwen2"])
def model(request: pytest.FixtureRequest, tokenizer: Any) -> Any:
    return tiny(request.param, tokenizer)


@pytest.fixture
def saved(model: Any, tokenizer: Any, tmp_path: Path) -> Path:
    """The model as a folder in Hugging Face's layout."""
    folder = tmp_path / "parent"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
