"""Tiny transformers of six families, made from configs, and a monitor that keeps what it gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

FAMILIES = ("bert", "roberta", "distilbert", "gpt2", "llama", "qwen")
VOCABULARY, WIDTH, LAYERS = 61, 16, 3


def make_model(family: str, seed: int = 0) -> Any:
    """A tiny `AutoModel` of the family, three layers of width 16, in evaluation mode."""
    from transformers import (
        BertConfig,
        BertModel,
        DistilBertConfig,
        DistilBertModel,
        GPT2Config,
        GPT2Model,
        LlamaConfig,
        LlamaModel,
        Qwen2Config,
        Qwen2Model,
        RobertaConfig,
        RobertaModel,
    )

    torch.manual_seed(seed)
    encoder = {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
    }
    decoder = {**encoder, "num_key_value_heads": 2}
    makers: dict[str, Callable[[], Any]] = {
        "bert": lambda: BertModel(BertConfig(**encoder), add_pooling_layer=False),
        "roberta": lambda: RobertaModel(RobertaConfig(**encoder), add_pooling_layer=False),
        "distilbert": lambda: DistilBertModel(
            DistilBertConfig(
                vocab_size=VOCABULARY,
                dim=WIDTH,
                n_layers=LAYERS,
                n_heads=4,
                hidden_dim=32,
                max_position_embeddings=64,
            )
        ),
        "gpt2": lambda: GPT2Model(
            GPT2Config(
                vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=LAYERS, n_head=4, n_positions=64
            )
        ),
        "llama": lambda: LlamaModel(LlamaConfig(**decoder)),
        "qwen": lambda: Qwen2Model(Qwen2Config(**decoder)),
    }
    model = makers[family]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Norms of one and biases of nought would hide a mistake in what is skipped.
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


class KeptMonitor:
    """Keeps rows, notes and calls; stops the training when told to."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.rows: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.updates = 0
        self.stop_after = stop_after

    def score(self, log_probs: np.ndarray) -> dict[str, float]:
        return {"entropy": float(-(np.exp(log_probs) * log_probs).sum(1).mean())}

    def point(self, **row: Any) -> None:
        self.rows.append(row)

    def rewind(self, rows: int) -> None:
        self.rows = self.rows[:rows]

    def progress(self, done: float, total: float, text: str = "") -> None:
        if "features" in text:
            return
        self.updates += 1
        if self.stop_after is not None and self.updates >= self.stop_after:
            raise KilledHere

    def note(self, text: str) -> None:
        self.notes.append(text)


class KilledHere(BaseException):
    """Stands for a kill: nothing catches it."""


def make_task(
    family: str = "bert", *, seed: int = 0, monitor: Any = None, n: int = 40, labels: int = 3
) -> Any:
    """A `ClassifyTask` over random texts whose label is the residue of their first token."""
    from gradus.objectives.classification import ClassifyTask
    from gradus.objectives.pooling import LinearHead
    from gradus.training.backbone import Backbone
    from gradus.training.packing import Tokens

    draw = np.random.default_rng(5)
    splits = []
    for size in (n, n // 2):
        texts = [draw.integers(3, VOCABULARY, draw.integers(2, 9)).tolist() for _ in range(size)]
        gold = torch.tensor([text[0] % labels for text in texts])
        splits.append((Tokens(texts, [f"item-{i}" for i in range(size)]), gold))
    (train, gold), (select, select_gold) = splits
    head = LinearHead(WIDTH, labels, 2.0)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(0.1 * draw.normal(size=(labels, WIDTH))))
    return ClassifyTask(
        backbone=Backbone(make_model(family, seed)),
        head=head,
        train=train,
        select=select,
        labels=gold,
        select_labels=select_gold,
        pooling="last" if family in ("gpt2", "llama", "qwen") else "mean",
        normalise=False,
        monitor=monitor or KeptMonitor(),
        digest="random-texts",
    )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Products this small only wait for each other on more threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)
