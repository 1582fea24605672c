"""Worker processes: how they begin, and what they leave to others."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from gradus.errors import CheckpointError
from gradus.serve import workers

from .scripted import NAME
from .servers import Running, served
from .test_faults import metric


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


def test_all_threads_of_a_shadow_leave_the_processor_to_others(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{root / 'src'}{os.pathsep}{root}")

    async def classes(*, idle: bool) -> set[int]:
        engine = f"{NAME}:Threaded"
        place = str(tmp_path / "none")
        order = {"engine": engine, "checkpoint": place, "options": {}, "idle": idle}
        worker = await workers.Worker.start(order, lambda event, **facts: None)
        try:
            threads = [int(one.name) for one in Path(f"/proc/{worker.pid}/task").iterdir()]
            assert len(threads) > 1
            for _ in range(100):
                found = {os.sched_getscheduler(thread) for thread in threads}
                if found == {os.SCHED_IDLE}:
                    break
                await asyncio.sleep(0.01)
            return found
        finally:
            await worker.kill()

    assert asyncio.run(classes(idle=True)) == {os.SCHED_IDLE}
    assert asyncio.run(classes(idle=False)) == {os.SCHED_OTHER}


def test_a_shadow_that_may_not_step_back_says_so_and_works(floor: Path, other: Path) -> None:
    forbidding = Path(__file__).with_name("forbidding.py")
    tried = [sys.executable, str(forbidding), sys.executable, "-c", ""]
    if subprocess.run(tried, capture_output=True, check=False).returncode != 0:
        pytest.skip("this system takes no filter of system calls")
    before = tried[:2]
    with served(floor, "--shadow", other, "--shadow-share", 1, before=before) as running:
        assert "SCHED_IDLE can't be set (Operation not permitted)" in said(running)
        assert running.classify("a", "b").status == 200
        end = time.monotonic() + 20
        while metric(running, "shadow_disagreements_total") < 2:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert len(running.events("worker-said")) == 1
        assert running.events("worker-died") == []


def said(running: Running) -> str:
    return str(running.wait_for("worker-said")["said"])
