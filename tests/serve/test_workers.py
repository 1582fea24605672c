"""Worker processes: how they begin."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from gradus.errors import CheckpointError
from gradus.serve import workers

from .servers import served


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


def test_files_of_the_current_folder_are_no_modules_of_a_worker(
    floor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "asyncio", "numpy", "safetensors", "pydantic"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hijacked')")
    # But an engine of one's own may be there.
    text = (
        "from gradus.serve.predicting import Predicting\nclass Mine(Predicting):\n    name = 'mine'"
    )
    (tmp_path / "mine.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    with served(floor, "--engine", "mine:Mine") as running:
        assert running.classify("a").json["results"][0]["label"] == "ham"
        assert running.get("/v1/info").json["engine"] == "mine"
