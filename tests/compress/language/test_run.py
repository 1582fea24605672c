"""Step `quantize` on a language model, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from gradus import generation
from gradus.checkpoints import read_manifest
from gradus.compress.language.run import compare
from gradus.errors import CheckpointError
from gradus.generation import Decoding
from gradus.parity.base import Bounds
from gradus.scoring.load import find, load_causal_lm
from gradus.testing.world import World


def _quantised(world: World, folder: Path, scheme: str, model: str = "lm") -> Any:
    config = {"model": model, "corpus": "plays", "scheme": scheme}
    return world.run("quantize", config, folder)


@pytest.fixture
def world(tmp_path: Path) -> World:
    folder = tmp_path / "world"
    folder.mkdir()
    return World(folder)


def test_facts_of_int8(world: World, tmp_path: Path) -> None:
    outcome = _quantised(world, tmp_path / "small", "language-int8")
    assert {one["handoff"] for one in outcome.facts["parity"]} == {
        "bfloat16 engine",
        "language-int8",
    }
    assert all(one["unit"] == "tokens" for one in outcome.facts["parity"])
    whole = sum(p.numel() for p in load_causal_lm(world.model("lm")).parameters())
    assert outcome.facts["parameters"] == whole
    assert outcome.facts["float32_bytes"] == 4 * whole
    written = (
        sum(p.stat().st_size for p in outcome.checkpoint.glob("*"))
        - (outcome.checkpoint / "gradus.json").stat().st_size
    )
    assert outcome.facts["bytes"] == written
    parents = [one.digest for one in read_manifest(outcome.checkpoint).lineage]
    assert world.model("lm").digest in parents


@pytest.mark.parametrize("scheme", ["language-int8", "language-bf16"])
def test_what_is_saved_writes(world: World, tmp_path: Path, scheme: str) -> None:
    outcome = _quantised(world, tmp_path / "small", scheme)
    settings = Decoding(max_tokens=5)
    writer = generation.open(outcome.checkpoint)
    text = writer.generate("sun and", settings)
    assert writer.tokens_written == 5
    assert ("int8" in writer.contract["dtype"]) is (scheme == "language-int8")
    exact = generation.open(outcome.checkpoint, dtype="float32")
    assert exact.contract["dtype"] == "float32"
    assert isinstance(text, str)


def test_a_quantised_model_is_not_quantised_again(world: World, tmp_path: Path) -> None:
    outcome = _quantised(world, tmp_path / "small", "language-int8")
    world._made["again"] = find(outcome.checkpoint)
    with pytest.raises(CheckpointError, match="quantised already"):
        _quantised(world, tmp_path / "twice", "language-int8", "again")


def test_an_encoder_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="causal"):
        _quantised(world, tmp_path / "small", "language-int8", "encoder")


def test_parity_is_that_of_all_tokens() -> None:
    draw = np.random.default_rng(2)
    rows = {n: draw.normal(size=(n, 7)) for n in (3, 5)}
    moved = {n: row + 0.1 * draw.normal(size=row.shape) for n, row in rows.items()}
    found = compare(
        lambda ids: torch.from_numpy(rows[len(ids)]),
        lambda ids: torch.from_numpy(moved[len(ids)]),
        [range(3), range(5)],
        "int8",
        Bounds(),
    )
    one, two = (np.concatenate(list(of.values())) for of in (rows, moved))
    left, right = log_softmax(one, axis=1), log_softmax(two, axis=1)
    assert found.rows == 8
    assert found.kl == pytest.approx((np.exp(left) * (left - right)).sum(1).mean())
    assert found.flips == pytest.approx((one.argmax(1) != two.argmax(1)).mean())
