from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gradus.checkpoints import open_checkpoint
from gradus.errors import CheckpointError
from gradus.predict.transformer import TransformerPredictor
from gradus.records import CheckpointRef
from gradus.steps.finetune import Finetune, FinetuneConfig
from steps import tiny


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    """A tiny BERT fine-tuned for one stage."""
    folder = tmp_path_factory.mktemp("predict")
    context = tiny.context(folder, tiny.source(folder / "source"), tiny.data())
    given = {"model": "encoder", "data": "words", "stages": [{"train": "head"}]}
    outcome = Finetune().run(FinetuneConfig.model_validate(given), context)
    assert outcome.checkpoint is not None
    return open_checkpoint(outcome.checkpoint)


def test_rows_are_transformers_own_forward_text_by_text(checkpoint: CheckpointRef) -> None:
    from safetensors.torch import load_file
    from transformers import AutoModel, AutoTokenizer

    texts = [*tiny.data().select.texts, "", "unheard of words"]
    model = AutoModel.from_pretrained(checkpoint.path, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint.path)
    head = load_file(Path(checkpoint.path) / "head.safetensors")
    predictor = TransformerPredictor.open(checkpoint)
    scale = predictor._preprocessing["scale"]
    expected = []
    with torch.inference_mode():
        for text in texts:
            hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
            logits = (scale * hidden.mean(0)) @ head["weight"].T + head["bias"]
            expected.append(logits.double().log_softmax(-1).numpy())
    got = predictor.log_probs(texts)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, np.array(expected), atol=1e-5)
    np.testing.assert_allclose(np.exp(got).sum(1), 1.0, atol=1e-12)


def test_a_text_has_the_same_row_in_every_company(checkpoint: CheckpointRef) -> None:
    predictor = TransformerPredictor.open(checkpoint)
    texts = list(tiny.data().select.texts)
    together = predictor.log_probs(texts)
    alone = np.concatenate([predictor.log_probs([text]) for text in texts])
    backwards = predictor.log_probs(texts[::-1])[::-1]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together, backwards, atol=1e-5)


def test_progress_counts_to_the_end_and_nothing_gives_nothing(checkpoint: CheckpointRef) -> None:
    predictor = TransformerPredictor.open(checkpoint, threads=1)
    seen: list[int] = []
    predictor.log_probs(["a song", "a ball", "the bank"], progress=seen.append)
    assert seen[-1] == 3
    assert seen == sorted(seen)
    assert predictor.log_probs([]).shape == (0, len(predictor.labels))


def test_bfloat16_is_near_and_says_so(checkpoint: CheckpointRef) -> None:
    plain = TransformerPredictor.open(checkpoint)
    short = TransformerPredictor.open(checkpoint, dtype="bfloat16")
    texts = tiny.data().select.texts
    np.testing.assert_allclose(plain.log_probs(texts), short.log_probs(texts), atol=0.3)
    assert plain.contract["dtype"] == "float32"
    assert short.contract["dtype"] == "bfloat16"
    assert plain.contract["backend"] == "torch"
    assert plain.contract["max_tokens"] == "32"
    assert plain.contract["tokenizer"] == short.contract["tokenizer"] != ""


def test_its_size_is_that_of_its_files(checkpoint: CheckpointRef) -> None:
    files = [p for p in Path(checkpoint.path).rglob("*") if p.is_file()]
    total = sum(p.stat().st_size for p in files if p.name != "gradus.json")
    assert TransformerPredictor.open(checkpoint).size_bytes == total


def test_a_checkpoint_without_a_head_is_refused(checkpoint: CheckpointRef, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(checkpoint.path, copy)
    (copy / "head.safetensors").unlink()
    ref = CheckpointRef(name="x", kind="transformer", path=str(copy))
    with pytest.raises(CheckpointError, match=r"head\.safetensors.*fine-tune it"):
        TransformerPredictor.open(ref)
