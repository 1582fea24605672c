"""A small data set that a test may change."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from gradus.data.config import DataConfig
from gradus.data.dataset import Dataset
from gradus.data.load import load_dataset

ROWS = "".join(
    f'{{"text": "{word} number {i}", "label": "{label}"}}\n'
    for i in range(60)
    for word, label in (("goal", "sport"), ("bank", "money"))
)


def write_rows(path: Path, extra: str = "") -> Path:
    path.write_text(ROWS + extra, encoding="utf-8")
    return path


def load_rows(path: Path, seed: int = 3) -> Dataset:
    config = DataConfig.model_validate({"source": {"file": str(path)}, "format": "jsonl"})
    return load_dataset("rows", config, folder=path.parent, seed=seed, assignments=None)


def change_split(dataset: Dataset, name: str) -> Dataset:
    """The same data set with another digest of one split, as one more row there would give."""
    digests: dict[str, Any] = {**dataset.split_digests, name: "0" * 64}
    return dataclasses.replace(dataset, split_digests=digests)
