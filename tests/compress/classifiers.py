"""Tiny classifiers of several families, made through the objective and saved as checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradus.checkpoints import save_checkpoint
from gradus.data.dataset import Split, TrainingData
from gradus.objectives.classify import Classify, ClassifyConfig
from gradus.records import CheckpointRef

LABELS = ("money", "sport", "weather")
WORDS = (
    *("the", "a", "rain", "sun", "storm", "wind", "cloud", "bank", "loan", "share", "price"),
    *("fee", "goal", "match", "team", "player", "score", "coach", "rose", "fell", "won"),
    *("lost", "again", "today", "tomorrow", "late", "early", "north", "south", "and", "of"),
)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WIDTH = 32


def make_texts(n: int, seed: int = 3, longest: int = 12) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, draw.integers(1, longest + 1))) for _ in range(n)]


def make_tokenizer(family: str) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if family in ("bert", "roberta", "distilbert"):
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )


def make_backbone(family: str) -> Any:
    from transformers import (
        BertConfig,
        BertModel,
        DistilBertConfig,
        DistilBertModel,
        GPT2Config,
        GPT2Model,
        LlamaConfig,
        LlamaModel,
        RobertaConfig,
        RobertaModel,
    )

    size = len(SPECIAL) + len(WORDS)
    encoder = {
        "vocab_size": size,
        "hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 40,
        "pad_token_id": 0,
    }
    makers = {
        "bert": lambda: BertModel(BertConfig(**encoder), add_pooling_layer=False),
        "roberta": lambda: RobertaModel(RobertaConfig(**encoder), add_pooling_layer=False),
        "distilbert": lambda: DistilBertModel(
            DistilBertConfig(
                vocab_size=size,
                dim=WIDTH,
                n_layers=2,
                n_heads=4,
                hidden_dim=64,
                max_position_embeddings=40,
            )
        ),
        "gpt2": lambda: GPT2Model(
            GPT2Config(vocab_size=size, n_embd=WIDTH, n_layer=2, n_head=4, n_positions=40)
        ),
        "llama": lambda: LlamaModel(
            LlamaConfig(**{**encoder, "num_key_value_heads": 2, "pad_token_id": None})
        ),
    }
    torch.manual_seed(0)
    model: Any = makers[family]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


class Silent:
    """A monitor that nobody watches."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def score(self, log_probs: np.ndarray) -> dict[str, float]:
        return {}

    def point(self, **row: float | int | str) -> None:
        pass

    def rewind(self, rows: int) -> None:
        pass

    def progress(self, done: float, total: float, text: str = "") -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)


def make_data() -> TrainingData:
    def split(texts: list[str]) -> Split:
        labels = np.array([len(text) % len(LABELS) for text in texts], dtype=np.int64)
        return Split(texts=texts, labels=labels, ids=[f"{i:04x}" for i in range(len(texts))])

    return TrainingData(
        name="toy",
        labels=LABELS,
        train=split(make_texts(40, seed=1)),
        select=split(make_texts(30, seed=2)),
        digest="toy",
    )


def make_classifier(
    family: str, folder: Path, *, pooling: str | None = None, normalise: bool | None = None
) -> CheckpointRef:
    """A checkpoint of kind transformer whose head has random weights."""
    source = folder / "source"
    make_backbone(family).save_pretrained(source)
    make_tokenizer(family).save_pretrained(source)
    prepared = Classify().prepare(
        ClassifyConfig(pooling=pooling, normalise=normalise),
        ref=CheckpointRef(name="source", kind="transformer", path=str(source), digest="0" * 64),
        data=make_data(),
        monitor=Silent(),
        max_tokens=10,
        seed=0,
    )
    head: Any = prepared.task.head
    with torch.no_grad():
        torch.manual_seed(1)
        head.weight.normal_(0, 0.3)
        head.bias.normal_(0, 0.3)
    return save_checkpoint(
        folder / "tuned",
        kind=prepared.kind,
        labels=prepared.labels,
        preprocessing=prepared.preprocessing,
        parents=(),
        facts={},
        write=prepared.save,
        name="tuned",
    )
