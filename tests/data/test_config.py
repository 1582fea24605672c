"""What a plan may say about data, and what it may not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from gradus.data import DataConfig

FILE = {"file": "a.jsonl"}


def faults(raw: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        DataConfig.model_validate(raw)
    return "; ".join(
        f"{'.'.join(map(str, f['loc']))}: {f['msg'].removeprefix('Value error, ')}"
        for f in caught.value.errors()
    )


@pytest.mark.parametrize(
    ("raw", "shares"),
    [
        ({"source": FILE}, {"train": 0.8, "dev": 0.1, "test": 0.1}),
        ({"source": FILE, "split": {"dev": 0.3}}, {"train": 0.6, "dev": 0.3, "test": 0.1}),
        (
            {"source": FILE, "split": {"train": 0.7, "dev": 0.1, "test": 0.2}},
            {"train": 0.7, "dev": 0.1, "test": 0.2},
        ),
        (
            {"source": FILE, "split": {"train": 0.9, "dev": 0.1, "test": 0}},
            {"train": 0.9, "dev": 0.1, "test": 0.0},
        ),
        ({"source": {"train": FILE, "test": FILE}}, {"train": 0.9, "dev": 0.1}),
        (
            {"source": {"train": FILE, "test": FILE}, "split": {"dev": 0.25}},
            {"train": 0.75, "dev": 0.25},
        ),
        ({"source": {"train": FILE, "dev": FILE, "test": FILE}}, {"train": 1.0}),
        ({"source": {"train": FILE, "dev": FILE}}, {"train": 1.0, "test": 0.0}),
        (
            {"source": {"train": FILE, "dev": FILE}, "split": {"test": 0.2}},
            {"train": 0.8, "test": 0.2},
        ),
    ],
)
def test_shares(raw: dict[str, Any], shares: dict[str, float]) -> None:
    assert DataConfig.model_validate(raw).shares() == pytest.approx(shares)


def test_the_config_survives_json() -> None:
    raw = {
        "source": {"train": FILE, "test": {"package": "a", "path": "b"}},
        "format": "csv",
        "columns": {"label": "category"},
        "encoding": ["utf-8", "latin-1"],
        "labels": ["b", "a"],
        "split": {"dev": 0.2, "stratify": True},
        "dev": "joined",
        "limit": 10,
        "gates": ["duplicate_rate <= 0.1"],
    }
    config = DataConfig.model_validate(raw)
    assert config.format == "csv.v1"
    assert DataConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "source: Field required"),
        ({"source": {"flie": "a"}}, "source: unknown source 'flie': did you mean 'file'?"),
        (
            {"source": {"train": {"flie": "a"}, "tset": FILE, "test": {"file": 3}}},
            "source: train: unknown source 'flie': did you mean 'file'?; "
            "test: 'file': input should be a valid string; unknown split 'tset'",
        ),
        ({"source": {"test": FILE}}, "source: sources by split need one for train"),
        (
            {"source": FILE, "format": "jsnl"},
            "format: unknown format 'jsnl': did you mean 'jsonl'?",
        ),
        (
            {"source": FILE, "split": {"train": 0.8, "dev": 0.3}},
            ": split: the shares must sum to 1 and leave some for train, but they are train 0.8, "
            "dev 0.3, test 0.1 (sum 1.2)",
        ),
        (
            {"source": FILE, "split": {"dev": 0.9}},
            ": split: the shares must sum to 1 and leave some for train, but they are train 0, "
            "dev 0.9, test 0.1 (sum 1)",
        ),
        (
            {"source": {"train": FILE, "test": FILE}, "split": {"test": 0.1}},
            ": split.test: test is given by its own source, drop the share",
        ),
        (
            {"source": FILE, "split": {"train": 0.9, "dev": 0.0}},
            ": split.dev: must be above 0, early stopping and gates rest on dev",
        ),
        ({"source": FILE, "split": {"dev": -0.1}}, "split.dev: Input should be greater than or"),
        ({"source": FILE, "split": {"valid": 0.1}}, "split.valid: Extra inputs are not permitted"),
        ({"source": FILE, "labels": ["a", "a"]}, "labels: must be labels, each once"),
        ({"source": FILE, "limit": 0}, "limit: Input should be greater than 0"),
        ({"source": FILE, "dev": "both"}, "dev: Input should be 'halves' or 'joined'"),
    ],
)
def test_faults(raw: dict[str, Any], message: str) -> None:
    assert faults(raw).startswith(message)


def test_an_unknown_encoding() -> None:
    assert "unknown encoding 'utf-88', e.g. utf-8" in faults({"source": FILE, "encoding": "utf-88"})
    assert "names no encoding" in faults({"source": FILE, "encoding": []})


def test_the_guides_entries_are_sound(root: Path) -> None:
    """What the guide shows of ``data:`` is what a plan takes."""
    text = (root / "docs/guides/own-data.md").read_text("utf-8")
    found = [yaml.safe_load(part.split("```")[0]) for part in text.split("```yaml\n")[1:]]
    assert len(found) >= 3
    for block in found:
        for entry in block.values():
            assert DataConfig.model_validate(entry).source == entry["source"]


def test_checking_an_entry_imports_nothing_heavy() -> None:
    """`gradus check` reads every entry; it has to start at once."""
    code = (
        "import sys; from gradus.data.config import DataConfig; import gradus.data.facts;"
        "DataConfig.model_validate({'source': {'file': 'a.parquet'}, 'format': 'parquet'});"
        "print([m for m in ('numpy', 'pyarrow', 'torch', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
