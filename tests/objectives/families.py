"""Tiny models of six families with a tokenizer in a folder, and data of every pooled target."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from tests.training.conftest import VOCABULARY, make_model

from gradus.data.dataset import Split, TrainingData
from gradus.records import CheckpointRef, Pair, Target

SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "\n")
WORDS = tuple(f"w{i}" for i in range(VOCABULARY - len(SPECIAL)))
CAUSAL = ("gpt2", "llama", "qwen")


def write_model(family: str, folder: Path) -> CheckpointRef:
    """Weights and a tokenizer: words and a template for pairs, or bytes and no template if causal.

    transformers gives causal families the byte-level tokenizer of theirs, whatever is in the file.
    """
    folder.mkdir(parents=True)
    model = make_model(family)
    tokenizer = _bytes() if family in CAUSAL else _words(1 if family == "bert" else 0)
    model.resize_token_embeddings(max(len(tokenizer), VOCABULARY))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return CheckpointRef(name=family, kind="transformer", path=str(folder), digest=family)


def _bytes() -> Any:
    from gradus.testing.world import _tokenizer

    return _tokenizer([" ".join(WORDS)], bos="<s>", eos="</s>", both_ends=False)


def _words(side: int) -> Any:
    from tokenizers import Tokenizer, pre_tokenizers, processors
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    known = {word: i for i, word in enumerate((*SPECIAL, *WORDS))}
    made = Tokenizer(WordLevel(known, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(" ", "removed"), pre_tokenizers.Split("\n", "isolated")]
    )
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair=f"[CLS] $A [SEP] $B:{side} [SEP]:{side}",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
    )


def data(target: Target, *, pairs: bool = False, n: int = 60, seed: int = 0) -> TrainingData:
    """Texts of random words; labels and numbers are told by which words they hold."""
    draw = np.random.default_rng(seed)
    splits = []
    for size in (n, n // 2):
        rows = [draw.integers(0, len(WORDS), draw.integers(3, 9)) for _ in range(size)]
        low = np.array([np.mean(row < 20) for row in rows])
        even = np.array([np.mean(row % 2 == 0) for row in rows])
        gold: Any = {
            "label": (low > 0.4).astype(np.int64),
            "labels": np.stack([low > 0.4, even > 0.5, low + even > 1.2], axis=1),
            "number": 100 + 10 * low - 5 * even,
        }[target]
        texts = [" ".join(WORDS[i] for i in row) for row in rows]
        if pairs:
            texts = [Pair(*t.split(" ", 1)) for t in texts]
        ids = [hashlib.sha256(f"{i}{t}".encode()).hexdigest() for i, t in enumerate(texts)]
        splits.append(Split(texts=texts, labels=gold, ids=ids))
    labels = {"label": ("no", "yes"), "labels": ("low", "even", "both"), "number": ()}[target]
    return TrainingData(
        name="words",
        labels=labels,
        train=splits[0],
        select=splits[1],
        digest=f"{target}{pairs}{seed}",
        target=target,
    )


class Scoring:
    """A monitor that checks shapes, scores nothing and keeps rows."""

    def __init__(self, data: TrainingData) -> None:
        self.data = data
        self.rows: list[dict[str, Any]] = []

    def score(self, outputs: np.ndarray) -> dict[str, float]:
        assert outputs.dtype == np.float64
        width = (len(self.data.labels),) if self.data.labels else ()
        assert outputs.shape == (len(self.data.select), *width)
        return {}

    def point(self, **row: Any) -> None:
        self.rows.append(row)

    def rewind(self, rows: int) -> None:
        self.rows = self.rows[:rows]

    def progress(self, done: float, total: float, text: str = "") -> None:
        pass

    def note(self, text: str) -> None:
        pass
