"""A tiny BERT with a real tokenizer in a folder, data for it and a context to run a step in."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradus.checkpoints import hash_folder
from gradus.data.dataset import Split, TrainingData
from gradus.records import CheckpointRef
from gradus.steps.base import StepContext

WORDS = {
    "sport": ["ball", "goal", "team", "match", "cup"],
    "money": ["bank", "loan", "rate", "price", "share"],
    "music": ["song", "band", "tune", "choir", "drum"],
}
FILLERS = ["the", "a", "was", "had", "in", "on", "new", "old"]


class KeptMonitor:
    """Keeps rows and notes."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.notes: list[str] = []

    def score(self, log_probs: np.ndarray) -> dict[str, float]:
        return {}

    def point(self, **row: Any) -> None:
        self.rows.append(row)

    def rewind(self, rows: int) -> None:
        self.rows = self.rows[:rows]

    def progress(self, done: float, total: float, text: str = "") -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)


def source(folder: Path) -> CheckpointRef:
    """A BERT of two layers whose tokenizer knows the words above."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = [w for group in WORDS.values() for w in group] + FILLERS
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=32,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab={w: i for i, w in enumerate(vocabulary)}).save_pretrained(folder)
    return CheckpointRef(
        name="encoder", kind="transformer", path=str(folder), digest=hash_folder(folder)
    )


def data(labels: tuple[str, ...] = tuple(WORDS), n: int = 60) -> TrainingData:
    """Texts of two telling words among fillers, one label each."""
    draw = np.random.default_rng(1)

    def split(size: int) -> Split:
        gold = draw.integers(0, len(labels), size)
        texts = []
        for label in gold:
            telling = list(draw.choice(WORDS[labels[label]], 2))
            words = [*telling, *draw.choice(FILLERS, draw.integers(1, 6))]
            texts.append(" ".join(str(w) for w in draw.permutation(words)))
        ids = [hashlib.sha256(f"{i} {t}".encode()).hexdigest() for i, t in enumerate(texts)]
        return Split(texts=texts, labels=gold.astype(np.int64), ids=ids)

    digest = hashlib.sha256(" ".join(labels).encode()).hexdigest()
    return TrainingData(
        name="words", labels=labels, train=split(n), select=split(n // 2), digest=digest
    )


def context(
    folder: Path, ref: CheckpointRef, texts: TrainingData, *, name: str = "encoder", seed: int = 5
) -> StepContext:
    """A context whose folders lie below `folder`."""
    for part in ("out", "work"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    return StepContext(
        id="tuned",
        seed=seed,
        out=folder / "out",
        work=folder / "work",
        models={name: ref},
        data=texts,
        monitor=KeptMonitor(),
        dtype="float32",
        threads=1,
    )
