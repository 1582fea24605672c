from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gradus.checkpoints import save_checkpoint
from gradus.records import CheckpointRef

Save = Callable[..., CheckpointRef]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Save files given as a dict of relative path -> bytes below tmp_path."""

    def do(name: str, files: Mapping[str, bytes] | None = None, **more: Any) -> CheckpointRef:
        def write(folder: Path) -> None:
            for path, content in (files or {"weights.bin": b"weights of " + name.encode()}).items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)

        settings: dict[str, Any] = {
            "kind": "linear",
            "labels": ["no", "yes"],
            "preprocessing": {"lowercase": True},
            "parents": [],
            "facts": {},
            "write": write,
            "name": name,
        }
        return save_checkpoint(tmp_path / name, **{**settings, **more})

    return do
