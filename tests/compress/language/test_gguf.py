"""GGUF files: read back by transformers and by llama.cpp they say what the model says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradus.compress.language import gguf_file, pieces
from gradus.compress.language.base import LanguageModel
from gradus.compress.language.gguf_schemes import GgufF16, GgufQ8
from gradus.errors import CheckpointError
from gradus.records import CheckpointRef
from gradus.scoring.load import load_causal_lm
from gradus.training.models import load_tokenizer

from .conftest import TEXTS, tiny

pytest.importorskip("gguf")


def _written(model: Any, tokenizer: Any, folder: Path, scheme: Any = GgufF16) -> CheckpointRef:
    folder.mkdir(exist_ok=True)
    what = LanguageModel(model=model, tokenizer=tokenizer, name="tiny")
    scheme().write(what, folder)
    return CheckpointRef(
        name="tiny", kind="gguf", path=str(folder), file=gguf_file.FILE, digest="0" * 64
    )


def test_transformers_reads_the_same_model(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    child = load_causal_lm(_written(model, tokenizer, tmp_path))
    ids = torch.tensor([tokenizer(TEXTS[1])["input_ids"]])
    with torch.inference_mode():
        own, found = (one(input_ids=ids).logits for one in (model, child))
    # Half precision rounds weights to one part in 2,048.
    assert (own - found).abs().max() < 0.01 * own.std()


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_of_its_own_is_written(tokenizer: Any, tmp_path: Path, tied: bool) -> None:
    model = tiny("llama", tokenizer, tied=tied)
    child = load_causal_lm(_written(model, tokenizer, tmp_path))
    same = torch.equal(child.lm_head.weight, child.model.embed_tokens.weight)
    assert same is tied
    assert torch.equal(child.lm_head.weight, model.lm_head.weight.half().float())


def test_the_tokenizer_comes_back(tokenizer: Any, tmp_path: Path) -> None:
    ref = _written(tiny("llama", tokenizer), tokenizer, tmp_path)
    back = load_tokenizer(ref)
    for text in TEXTS:
        assert back(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert back.eos_token_id == tokenizer.eos_token_id


def test_llama_cpp_writes_what_torch_writes(tokenizer: Any, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    from gradus import generation
    from gradus.generation import Decoding

    ref = _written(tiny("llama", tokenizer), tokenizer, tmp_path, GgufQ8)
    settings = Decoding(max_tokens=6)
    texts = [
        generation.open(ref, backend=backend).generate_all(TEXTS[:2], settings=settings)
        for backend in ("torch", "llama.cpp")
    ]
    assert texts[0] == texts[1]


def test_neighbours_are_halves_in_turns() -> None:
    rows = np.arange(8)[:, None] * np.ones((1, 2))
    found = gguf_file.neighbouring(rows, heads=2)[:, 0]
    assert found.tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_what_has_no_place_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    model = tiny("llama", tokenizer)
    model.config.model_type = "mamba"
    with pytest.raises(CheckpointError, match="mamba"):
        _written(model, tokenizer, tmp_path)


def test_scaled_positions_are_refused(tokenizer: Any, tmp_path: Path) -> None:
    model = tiny("llama", tokenizer)
    model.config.rope_parameters = {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
    with pytest.raises(CheckpointError, match="scaled"):
        _written(model, tokenizer, tmp_path)


def test_splits_have_names() -> None:
    level: dict[str, Any] = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    assert pieces.split_name(level, {}) == "gpt-2"
    parts = {"type": "Sequence", "pretokenizers": [digits, level]}
    assert pieces.split_name(parts, {}) == "smollm"
    for strange in (None, {"type": "Whitespace"}, {**level, "add_prefix_space": True}):
        with pytest.raises(CheckpointError, match="no name"):
            pieces.split_name(strange, {})


def test_a_word_level_tokenizer_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {f"w{n}": n for n in range(len(tokenizer))}
    other = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(words, "w0")))
    with pytest.raises(CheckpointError, match="byte-level BPE"):
        _written(tiny("llama", tokenizer), other, tmp_path)


def test_a_cut_file_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    ref = _written(tiny("llama", tokenizer), tokenizer, tmp_path)
    path = tmp_path / gguf_file.FILE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError):
        load_causal_lm(ref)
