"""Samples of a model in training against what its checkpoint writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gradus import generation
from gradus.errors import UsageError
from gradus.generation.decoding import Decoding
from gradus.training.backbone import Backbone
from gradus.training.packing import Tokens
from gradus.training.samples import Samples

PROMPTS = ("the cat", "a", "the cat sat on the")


def byte_tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made)


def causal(family: str) -> Any:
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        LlamaConfig,
        LlamaForCausalLM,
        OPTConfig,
        OPTForCausalLM,
    )

    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    common = {"vocab_size": 256, "bos_token_id": None, "eos_token_id": None}
    if family == "gpt2":
        config = GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=64, **common)
        return GPT2LMHeadModel(config).eval()
    if family == "llama":
        return LlamaForCausalLM(LlamaConfig(**sizes, intermediate_size=32, **common)).eval()
    more = {"ffn_dim": 32, "word_embed_proj_dim": 16, "pad_token_id": None}
    return OPTForCausalLM(OPTConfig(**sizes, **more, **common)).eval()


@pytest.mark.parametrize("family", ["gpt2", "llama", "opt"])
def test_they_are_what_the_checkpoint_writes(tmp_path: Path, family: str) -> None:
    model, tokenizer = causal(family), byte_tokenizer()
    backbone = Backbone(model.base_model)
    batch = Tokens([[5, 6, 7], [8, 9, 10, 11]]).batch([0, 1])
    before = backbone.run(batch)
    rows = Samples(model, tokenizer, PROMPTS, tokens=12, seed=5)()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    settings = Decoding(max_tokens=12, temperature=0.8, seed=5)
    expected = generation.open(tmp_path).generate_all(PROMPTS, settings=settings)
    assert [row["sample"] for row in rows] == expected
    assert [row["prompt"] for row in rows] == list(PROMPTS)
    assert len(set(expected)) == 3
    # Training goes on as if nobody had asked; where memory lies may move the last bit.
    torch.testing.assert_close(backbone.run(batch), before, rtol=1e-6, atol=1e-6)
    assert rows == Samples(model, tokenizer, PROMPTS, tokens=12, seed=5)()


def test_they_follow_the_weights() -> None:
    model, tokenizer = causal("gpt2"), byte_tokenizer()
    probe = Samples(model, tokenizer, ["abc"], tokens=12)
    first = probe()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    assert probe() != first


def test_a_prompt_that_cannot_be_gone_on_with_is_refused() -> None:
    model, tokenizer = causal("gpt2"), byte_tokenizer()
    with pytest.raises(UsageError, match="no tokens"):
        Samples(model, tokenizer, [""])
    with pytest.raises(UsageError, match="64: shorten it"):
        Samples(model, tokenizer, ["a" * 64])
