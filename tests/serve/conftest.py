"""Checkpoints small enough that a server of them starts in a second."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra 'serve' isn't installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' isn't installed")

from gradus.predict.linear import save_majority

from .servers import Running, served


@pytest.fixture(scope="session")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Says 'ham' of everything, with probability 0.75."""
    folder = tmp_path_factory.mktemp("checkpoints") / "floor"
    save_majority(folder, labels=["spam", "ham"], counts=[1, 3])
    return folder


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Says 'spam' of everything, with probability 0.9."""
    folder = tmp_path_factory.mktemp("checkpoints") / "other"
    save_majority(folder, labels=["spam", "ham"], counts=[9, 1])
    return folder


@pytest.fixture(scope="module")
def server(floor: Path) -> Iterator[Running]:
    with served(floor) as running:
        yield running
