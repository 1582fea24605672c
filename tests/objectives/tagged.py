"""Tiny transformers with tokenizers of their own, and texts with spans to train them on."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2Model,
    LlamaConfig,
    LlamaModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
)

from gradus.data.dataset import Split, TrainingData
from gradus.records import CheckpointRef, Span
from objectives.tokenizers_of_all_kinds import KINDS

TYPES = ("LOC", "PER")
FAMILIES = ("bert", "roberta", "gpt2", "llama")
PLACES = ("Brussels", "Belgium", "New York", "EU")
PEOPLE = ("Peter", "Peter Blackburn", "J. Lamb")
WIDTH = 16


def source(folder: Path, family: str = "bert") -> CheckpointRef:
    """A model of the family, two layers of width 16, with a tokenizer of its kind."""
    torch.manual_seed(0)
    tokenizer = KINDS[family]()
    options = {
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 32,
        "max_position_embeddings": 80,
    }
    model: Any
    if family == "bert":
        model = BertModel(BertConfig(**options), add_pooling_layer=False)
    elif family == "roberta":
        model = RobertaModel(RobertaConfig(**options, pad_token_id=3), add_pooling_layer=False)
    elif family == "llama":
        model = LlamaModel(LlamaConfig(**options, num_key_value_heads=2))
    else:
        model = GPT2Model(
            GPT2Config(
                vocab_size=options["vocab_size"],
                n_embd=WIDTH,
                n_layer=2,
                n_head=4,
                n_positions=80,
                bos_token_id=0,
                eos_token_id=1,
            )
        )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
    ).save_pretrained(folder)
    return CheckpointRef(name="tiny", kind="transformer", path=str(folder), digest="tiny")


def split(texts: list[str], spans: list[tuple[Span, ...]], words: Any = None) -> Split:
    """A split whose words stand between spaces unless they are given."""
    labels = np.empty(len(texts), dtype=object)
    labels[:] = spans
    return Split(
        texts=texts,
        labels=labels,
        ids=[hashlib.sha256(t.encode()).hexdigest() for t in texts],
        words=words or [tuple(m.span() for m in re.finditer(r"\S+", t)) for t in texts],
    )


def sentence(draw: np.random.Generator) -> tuple[str, tuple[Span, ...]]:
    """Who is where."""
    who, where = str(draw.choice(PEOPLE)), str(draw.choice(PLACES))
    verb = str(draw.choice(["lives in", "paid half in", "is not in"]))
    text = f"{who} {verb} {where} ."
    at = len(who) + len(verb) + 2
    return text, (Span(0, len(who), "PER"), Span(at, at + len(where), "LOC"))


def data(n: int = 40) -> TrainingData:
    """Sentences whose names are capitalised and nothing else is."""
    draw = np.random.default_rng(3)
    made = [sentence(draw) for _ in range(n + n // 2)]
    parts = [split([t for t, _ in part], [s for _, s in part]) for part in (made[:n], made[n:])]
    return TrainingData(
        name="names",
        labels=TYPES,
        train=parts[0],
        select=parts[1],
        digest="names",
        target="spans",
    )
