"""A small data set, a step on it and the weights that it begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradus.data.dataset import Dataset
from gradus.records import CheckpointRef, StepSpec

from .rows import load_rows, write_rows


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return load_rows(write_rows(tmp_path / "rows.jsonl"))


@pytest.fixture
def spec() -> StepSpec:
    return StepSpec(
        id="tuned",
        kind="finetune.v1",
        config={"model": "encoder", "data": "rows", "stages": [{"train": "all", "lr": 1e-4}]},
        models=("encoder",),
        data=("rows",),
        gates=("accuracy >= 0.5",),
    )


@pytest.fixture
def encoder() -> CheckpointRef:
    return CheckpointRef(name="encoder", kind="transformer", path="/weights", digest="ab" * 32)
