"""Worker processes that never come to say that they are ready."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from gradus.errors import CheckpointError
from gradus.serve import workers


def test_a_checkpoint_that_nobody_hands_over_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "gradus.json")  # reading it waits for a writer, for ever
    monkeypatch.setattr(workers, "OPENING", 1.0)
    order = {"engine": "auto", "checkpoint": str(tmp_path), "options": {}, "idle": False}
    before = set(psutil.Process().children(recursive=True))  # those of tests that ran here earlier
    with pytest.raises(CheckpointError, match="not open after 1 seconds"):
        asyncio.run(workers.Worker.start(order, lambda event, **facts: None))
    assert set(psutil.Process().children(recursive=True)) <= before
