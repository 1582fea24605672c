"""What can go wrong on the way: one clear error each, and nothing is lost."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .damage import flip_bit
from .plans import ENCODER, FLOOR, HEAD, Runs, states, step

LONG: dict[str, Any] = {
    **HEAD,
    "stages": [{"train": "all", "epochs": 200, "lr": 1e-4, "batch_size": 4}],
}


@pytest.fixture
def rows(runs: Runs, shared_data: Path) -> Path:
    """A file of 200 questions with two labels, which a test may change."""
    path = runs.folder / "rows.csv"
    with (shared_data / "banking77.train.csv").open(encoding="utf-8", newline="") as source:
        kept = [
            r for r in csv.reader(source) if r[1] in ("category", "card_arrival", "atm_support")
        ]
    with path.open("w", encoding="utf-8", newline="") as target:
        csv.writer(target).writerows(kept[:201])
    return path


def data(rows: Path) -> dict[str, Any]:
    source = {"source": {"file": str(rows)}, "columns": {"label": "category"}}
    return {"data": {"news": {**source, "split": {"dev": 0.3, "test": 0.2}}}}


def until_training(runs: Runs, process: subprocess.Popen[str]) -> None:
    """Wait until the step `tuned` has trained for some time, which its curves show."""
    deadline = time.monotonic() + 300
    while not list(runs.folder.glob("runs/mini/steps/tuned/*/curves.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def training(runs: Runs, rows: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A plan whose second step trains for minutes, and the process that does it."""
    plan = runs.plan(FLOOR, LONG, models=ENCODER, **data(rows))
    process = runs.start("run", plan, "--json")
    try:
        until_training(runs, process)
        yield plan, process
    finally:
        process.kill()
        process.communicate()


def test_busy_then_interrupted_then_other_data(
    runs: Runs, rows: Path, training: tuple[Path, subprocess.Popen[str]]
) -> None:
    plan, process = training
    busy = runs("run", plan, "--json", code=1)
    assert f"process {process.pid} is working in this run folder" in busy.stderr
    assert busy.stdout == ""

    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "interrupted; run the same command again to resume" in said
    left = json.loads(printed)
    assert left["state"] == "interrupted"
    assert states(left) == {"floor": "done", "tuned": "interrupted"}
    assert (runs.folder / "runs/mini/report.html").is_file()
    assert list(runs.folder.glob("runs/mini/steps/tuned/*/work/*"))

    before = rows.read_bytes()
    rows.write_bytes(before + b"Where is the nearest machine of yours?,atm_support\r\n")
    refused = runs("run", plan, code=1)
    assert "data 'news' has changed since this run began" in refused.stderr
    assert "--fresh" in refused.stderr
    assert runs.json("show", "mini") == left

    rows.write_bytes(before)
    again = runs.run(plan, "--until", "floor")
    assert states(again) == {"floor": "reused", "tuned": "pending"}
    assert list(runs.folder.glob("runs/mini/steps/tuned/*/work/*"))


def test_sigterm_can_be_gone_on_from(
    runs: Runs, training: tuple[Path, subprocess.Popen[str]]
) -> None:
    plan, process = training
    process.terminate()
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 130
    assert json.loads(printed)["state"] == "interrupted"
    resumed = runs.start("run", plan)
    assert resumed.stderr is not None
    said = [next(iter(resumed.stderr.readline, "")) for _ in range(8)]
    resumed.kill()
    resumed.communicate()
    assert any("tuned: going on where it was interrupted" in line for line in said), said


def test_a_flipped_bit_is_found_on_reuse_and_when_predicting(runs: Runs) -> None:
    plan = runs.plan(FLOOR)
    weights = Path(step(runs.run(plan), "floor")["checkpoint"]) / "model.safetensors"
    flip_bit(weights)
    refused = runs("run", plan, code=1)
    assert str(weights.parent) in refused.stderr
    assert "model.safetensors" in refused.stderr
    predicted = runs("predict", weights.parent, "--input", plan, code=1)
    assert "model.safetensors" in predicted.stderr
    flip_bit(weights)
    assert states(runs.run(plan)) == {"floor": "reused"}
    # As a model of a plan it is looked at too.
    flip_bit(weights)
    seen = {"id": "seen", "step": "evaluate", "models": ["old"], "on": "news"}
    other = runs.plan(seen, models={"old": {"folder": str(weights.parent)}}, name="other")
    assert "model.safetensors" in runs("run", other, code=1).stderr


def test_a_loss_that_is_not_finite(runs: Runs) -> None:
    stage = {"train": "all", "steps": 20, "lr": 1e30, "clip": None, "warmup": 0, "batch_size": 8}
    plan = runs.plan(FLOOR, {**HEAD, "stages": [stage]}, models=ENCODER)
    ended = runs("run", plan, "--json", code=1)
    assert "error: " in ended.stderr
    assert "finite" in ended.stderr.splitlines()[-1]
    printed = json.loads(ended.stdout)
    assert printed["state"] == "failed"
    assert states(printed) == {"floor": "done", "tuned": "failed"}
    assert "finite" in step(printed, "tuned")["error"]
    assert (runs.folder / "runs/mini/report.html").is_file()
    mended = runs.run(plan, "--set", "steps.tuned.stages=[{train: head}]")
    assert states(mended) == {"floor": "reused", "tuned": "done"}


def limited(runs: Runs, megabytes: float, *args: object) -> subprocess.CompletedProcess[str]:
    """`gradus ARGS` where no file may grow beyond so many megabytes."""

    def limit() -> None:
        size = int(megabytes * 1e6)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(
        runs.command(*args),
        cwd=runs.folder,
        env=runs.environment,
        preexec_fn=limit,  # the child has one thread
        capture_output=True,
        text=True,
        check=False,
    )


def test_files_that_may_not_grow(runs: Runs) -> None:
    plan = runs.plan(FLOOR, HEAD, models=ENCODER)
    full = limited(runs, 20, "run", plan, "--json")
    assert full.returncode == 1, full.stderr
    assert "Traceback" not in full.stderr
    assert "room" in full.stderr.splitlines()[-1]
    printed = json.loads(full.stdout)
    assert states(printed) == {"floor": "done", "tuned": "failed"}
    # No checkpoint is left half-written, and the run goes on once there is room.
    assert not list(runs.folder.glob("runs/mini/steps/tuned/*/checkpoint"))
    assert states(runs.run(plan)) == {"floor": "reused", "tuned": "done"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 40 MB of its own; skips where none can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("only root with the right to mount can make a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk(runs: Runs, small_disk: Path) -> None:
    plan = runs.plan(FLOOR, HEAD, models=ENCODER)
    full = runs("run", plan, "--runs-dir", small_disk, code=1)
    assert "Traceback" not in full.stderr
    assert "room" in full.stderr.splitlines()[-1]
    remounted = ["mount", "-o", "remount,size=400m", str(small_disk)]
    subprocess.run(remounted, check=True)
    assert states(runs.run(plan, "--runs-dir", small_disk)) == {"floor": "reused", "tuned": "done"}
