"""The files of integer weights: what is read is what was written, and nothing broken is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gradus.compress.language import stored
from gradus.compress.language.rounding import matrices, rounded, weight_of
from gradus.errors import CheckpointError
from gradus.scoring.load import find, load_causal_lm
from gradus.training.models import load_model

from .conftest import tiny


def _write(model: Any, tokenizer: Any, folder: Path, bits: Any = 8) -> dict[str, Any]:
    folder.mkdir()
    return stored.write(model, tokenizer, folder, bits=dict.fromkeys(matrices(model), bits))


@pytest.mark.parametrize("bits", [4, 8])
def test_the_loaded_model_has_the_rounded_weights(
    model: Any, tokenizer: Any, tmp_path: Path, bits: Any
) -> None:
    folder = tmp_path / "small"
    _write(model, tokenizer, folder, bits)
    (folder / "gradus.json").unlink(missing_ok=True)
    child = load_causal_lm(_ref(folder))
    own, theirs = matrices(child), matrices(model)
    assert set(own) == set(theirs)
    for name, module in own.items():
        expected = rounded(weight_of(theirs[name]), bits).weights()
        assert torch.equal(weight_of(module), expected), name
    others = {
        name for name, _ in model.named_parameters() if name.endswith(("norm.weight", "bias"))
    }
    state = child.state_dict()
    assert all(torch.equal(state[name], model.state_dict()[name]) for name in others)


def test_an_untied_head_is_kept_apart(tokenizer: Any, tmp_path: Path) -> None:
    model = tiny("llama", tokenizer, tied=False)
    _write(model, tokenizer, tmp_path / "small")
    child = load_causal_lm(_ref(tmp_path / "small"))
    assert not torch.equal(child.lm_head.weight, child.model.embed_tokens.weight)
    assert torch.equal(child.lm_head.weight, rounded(model.lm_head.weight, 8).weights())


def test_without_its_head_it_is_a_backbone(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    _write(model, tokenizer, tmp_path / "small")
    ref = _ref(tmp_path / "small")
    ids = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        whole = load_causal_lm(ref).base_model(input_ids=ids).last_hidden_state
        assert torch.equal(load_model(ref)(input_ids=ids).last_hidden_state, whole)


def test_the_size_is_that_of_the_bits(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    facts = _write(model, tokenizer, tmp_path / "four", 4)
    _write(model, tokenizer, tmp_path / "eight", 8)
    four, eight = ((tmp_path / n / stored.WEIGHTS).stat().st_size for n in ("four", "eight"))
    # GPT-2 has a table of positions besides, which stays as it was.
    table = {n: p.numel() for n, p in model.named_parameters() if n.endswith("wpe.weight")}
    plain = sum(parameter.numel() for parameter in model.parameters()) - sum(table.values())
    four, eight = (size - 4 * sum(table.values()) for size in (four, eight))
    assert eight < 1.6 * plain
    assert four < 0.85 * eight
    assert facts["integer_parameters"] > 0.5 * plain
    assert 0 < facts["greatest_relative_error"] < 0.2


@pytest.mark.parametrize("what", ["cut", "no note field", "later", "missing"])
def test_broken_files_are_refused(tokenizer: Any, tmp_path: Path, what: str, model: Any) -> None:
    folder = tmp_path / "small"
    _write(model, tokenizer, folder)
    note = json.loads((folder / stored.NOTE).read_text())
    if what == "cut":
        whole = (folder / stored.WEIGHTS).read_bytes()
        (folder / stored.WEIGHTS).write_bytes(whole[: len(whole) // 2])
    elif what == "no note field":
        (folder / stored.NOTE).write_text("{}")
    elif what == "later":
        (folder / stored.NOTE).write_text(json.dumps({**note, "format": 99}))
    else:
        (folder / stored.WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match="later Gradus" if what == "later" else "quantised"):
        stored.state(folder)


def _ref(folder: Path) -> Any:
    from gradus.records import CheckpointRef

    return CheckpointRef(name="small", kind="transformer", path=str(folder), digest="0" * 64)


def test_a_folder_without_the_note_is_not_quantised(saved: Path) -> None:
    assert not stored.is_quantised(saved)
    assert find(saved).kind == "transformer"
