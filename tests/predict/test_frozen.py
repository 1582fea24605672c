"""What checkpoints of one model have in common is computed once, and no answer changes a bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradus.checkpoints import open_checkpoint
from gradus.predict.transformer import TransformerPredictor
from gradus.records import CheckpointRef
from gradus.steps.finetune import Finetune, FinetuneConfig
from steps import tiny

TEXTS = (*tiny.data().select.texts, "", "unheard of words")


def tuned(source: CheckpointRef, folder: Path, *trained: str) -> CheckpointRef:
    """A checkpoint whose stages train that, one after the other."""
    stages = [{"train": part, "epochs": 1, "lr": 0.01} for part in trained]
    given = {"model": "encoder", "data": "words", "stages": stages}
    outcome = Finetune().run(
        FinetuneConfig.model_validate(given), tiny.context(folder, source, tiny.data())
    )
    assert outcome.checkpoint is not None
    return open_checkpoint(outcome.checkpoint)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CheckpointRef]:
    """Of one tiny BERT with two layers: what each has trained of it."""
    folder = tmp_path_factory.mktemp("frozen")
    source = tiny.source(folder / "source")
    ways: dict[str, Sequence[str]] = {
        "head": ("head",),
        "top": ("head", "top-1"),
        "longer": ("head", "top-1", "top-1"),
        "all": ("head", "all"),
    }
    return {name: tuned(source, folder / name, *parts) for name, parts in ways.items()}


def answers(
    ref: CheckpointRef, shared: Path | None, texts: Sequence[str] = TEXTS
) -> tuple[np.ndarray, list[int]]:
    """Its rows, and how often each layer was run."""
    predictor = TransformerPredictor.open(ref)
    if shared is not None:
        predictor.share(shared)
    backbone: Any = predictor._embedder._backbone  # type: ignore[union-attr]  # there is one
    runs = [0] * backbone.layers
    handles = []
    for n, layer in enumerate(backbone.groups.layers):

        def count(module: torch.nn.Module, given: object, n: int = n) -> None:
            runs[n] += 1

        # A layer that is passed over is called, and calls nothing itself.
        handles.append(next(layer.children()).register_forward_pre_hook(count))
    rows = predictor.log_probs(texts)
    for handle in handles:
        handle.remove()
    return rows, runs


def test_frozen_layers_run_once_and_no_bit_changes(
    checkpoints: dict[str, CheckpointRef], tmp_path: Path
) -> None:
    expected = {name: answers(ref, None)[0] for name, ref in checkpoints.items()}
    plain = answers(checkpoints["head"], None)[1]
    assert min(plain) >= 1

    def ask(name: str) -> list[int]:
        rows, runs = answers(checkpoints[name], tmp_path)
        np.testing.assert_array_equal(rows, expected[name])
        return [int(count > 0) for count in runs]

    assert ask("head") == [1, 1]  # nobody was here before
    assert ask("head") == [1, 1]  # both are alike: what comes out of them is written
    assert ask("head") == [0, 0]
    assert ask("top") == [1, 1]  # the lower one is alike: written, and the other on top of it
    assert ask("longer") == [0, 1]
    assert ask("all") == [1, 1]  # not even the embeddings are those of any other
    assert len(list(tmp_path.glob("hidden-*.bin"))) == 2


def test_other_texts_are_other_files(checkpoints: dict[str, CheckpointRef], tmp_path: Path) -> None:
    for texts in (TEXTS, TEXTS[:5], TEXTS[:5]):
        rows, _ = answers(checkpoints["head"], tmp_path, texts)
        np.testing.assert_array_equal(rows, answers(checkpoints["head"], None, texts)[0])
    assert len(list(tmp_path.glob("hidden-*.bin"))) == 1
    assert len(list(tmp_path.glob("layers-*.json"))) == 2


def test_bfloat16_shares_nothing(checkpoints: dict[str, CheckpointRef], tmp_path: Path) -> None:
    for _ in range(3):
        predictor = TransformerPredictor.open(checkpoints["head"], dtype="bfloat16")
        predictor.share(tmp_path)
        predictor.log_probs(TEXTS)
    assert not list(tmp_path.iterdir())
