from __future__ import annotations

from pathlib import Path

import pytest
from tests.scoring.causal import save_source

from gradus import generation, scoring
from gradus.errors import CheckpointError, UsageError
from gradus.generation import Decoding
from gradus.records import CheckpointRef

from .conftest import TEXTS

PROMPTS = ("The river", "She counted the")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_folder_is_opened(dtype: str, tmp_path: Path) -> None:
    ref = save_source(tmp_path / "lm", TEXTS)
    writer = generation.open(ref, dtype=dtype, threads=1)
    assert writer.limit == 256
    assert writer.contract["dtype"] == dtype
    assert writer.contract["backend"] == "torch"
    assert len(writer.contract["tokenizer"]) == 16
    found = writer.generate_all(PROMPTS, settings=Decoding(max_tokens=8))
    assert all(found)
    again = generation.open(tmp_path / "lm", dtype=dtype, threads=1)
    assert again.generate_all(PROMPTS, settings=Decoding(max_tokens=8)) == found


def test_the_scoring_engine_writes_with_it(tmp_path: Path) -> None:
    ref = save_source(tmp_path / "lm", TEXTS)
    engine = scoring.open(ref, threads=1)
    before = engine.tokens_seen
    settings = Decoding(max_tokens=8, temperature=0.9, seed=2)
    found = engine.generate_all(PROMPTS, settings=settings, journal=tmp_path / "journal.jsonl")
    assert found == generation.open(ref, threads=1).generate_all(PROMPTS, settings=settings)
    assert engine.tokens_seen > before


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    plain = CheckpointRef(name="lm", kind="transformer", path=str(tmp_path))
    with pytest.raises(UsageError, match="unknown dtype"):
        generation.open(plain, dtype="int8")
    with pytest.raises(UsageError, match="unknown back end"):
        generation.open(plain, backend="vllm")
    with pytest.raises(UsageError, match="reads GGUF files"):
        generation.open(plain, backend="llama.cpp")
    with pytest.raises(CheckpointError):
        generation.open(plain)
