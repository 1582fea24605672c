"""Tiny causal language models of several families, made from configs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradus.records import CheckpointRef
from gradus.sources import locate_weights

FAMILIES = ("gpt2", "llama", "qwen", "qwen-window", "neox", "gemma2", "bloom", "mamba")
VOCABULARY, WIDTH = 61, 16


def make_causal_lm(family: str, seed: int = 0) -> Any:
    """A model of the family, two layers of width 16, float32, with far from uniform output."""
    import transformers as t

    torch.manual_seed(seed)
    common = {"vocab_size": VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    decoder = {
        **common,
        "hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
    }
    neox = {key: value for key, value in decoder.items() if key != "num_key_value_heads"}
    window = {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 0}
    makers = {
        "gpt2": lambda: t.GPT2LMHeadModel(
            t.GPT2Config(**common, n_embd=WIDTH, n_layer=2, n_head=4, n_positions=64)
        ),
        "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**decoder)),
        "qwen": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(**decoder)),
        "qwen-window": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(**decoder, **window)),
        "neox": lambda: t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**neox)),
        "gemma2": lambda: t.Gemma2ForCausalLM(
            t.Gemma2Config(**decoder, head_dim=4, final_logit_softcapping=2.0)
        ),
        "bloom": lambda: t.BloomForCausalLM(
            t.BloomConfig(**common, hidden_size=WIDTH, n_layer=2, n_head=4)
        ),
        "mamba": lambda: t.MambaForCausalLM(
            t.MambaConfig(**common, hidden_size=WIDTH, num_hidden_layers=2, state_size=4)
        ),
    }
    model = makers[family]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@torch.inference_mode()
def plain_log_likelihood(model: Any, context: Sequence[int], continuation: Sequence[int]) -> float:
    """By one plain forward pass and a float64 softmax over every token in turn."""
    ids = [*context, *continuation]
    logits = model(input_ids=torch.tensor([ids])).logits[0].double().numpy()
    total = 0.0
    for place in range(len(context), len(ids)):
        row = logits[place - 1]
        total += row[ids[place]] - row.max() - np.log(np.exp(row - row.max()).sum())
    return float(total)


def make_tokenizer(texts: Sequence[str]) -> Any:
    """A byte-level BPE tokenizer that has learnt a few merges from `texts`; no special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<s>"],
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>")


def save_source(folder: Path, texts: Sequence[str], *, positions: int = 256) -> CheckpointRef:
    """A tiny Llama with its tokenizer in a folder, as a plan would find it."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer(texts)
    torch.manual_seed(3)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=32,
            max_position_embeddings=positions,
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return locate_weights("lm", {"folder": str(folder)}, folder)
