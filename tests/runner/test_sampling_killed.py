"""A process that samples is killed, twice; the next ones go on, and nothing is written anew."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from gradus.checkpoints import read_manifest
from gradus.testing.world import write_causal

NOUNS = ("king", "queen", "ship", "horse", "wood", "river", "bell", "crown", "knife", "letter")


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    torch.set_num_threads(1)
    write_causal(tmp_path / "lm", [f"The {one} saw the {two}." for one in NOUNS for two in NOUNS])
    prompts = [f"The {one} and the {two}" for one in NOUNS for two in NOUNS]
    step: dict[str, Any] = {
        "id": "written",
        "step": "sample",
        "writers": ["lm", "again"],
        "prompts": prompts,
        "each": 4,
        "decoding": {"temperature": 1.0, "max_tokens": 48},
    }
    said = {
        "name": "killed",
        "seed": 2,
        "models": {"lm": {"folder": "lm"}, "again": {"folder": "lm"}},
        "measure": {"cost": False, "bootstrap": 100},
        "steps": [step],
    }
    path = tmp_path / "plan.yaml"
    path.write_text(json.dumps(said))
    return path


def started(plan: Path, runs: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gradus", "run", str(plan), "--runs-dir", runs]
    return subprocess.Popen(command, cwd=plan.parent, stderr=subprocess.PIPE)


def samples(runs: Path) -> str:
    (place,) = runs.glob("killed/steps/written/*/checkpoint")
    return read_manifest(place).digest


@pytest.mark.slow
def test_a_killed_process_goes_on_with_the_next_text(plan: Path) -> None:
    runs = plan.parent / "runs"
    kept: dict[str, bytes] = {}
    for writer, least in (("0.jsonl", 1), ("1.jsonl", 33)):
        process = started(plan, "runs")
        end = time.monotonic() + 300
        lines = 0
        while lines < least:
            assert process.poll() is None, "it was done before it could be killed"
            assert time.monotonic() < end, "nothing was written"
            time.sleep(0.01)
            lines = sum(p.read_bytes().count(b"\n") for p in runs.rglob(writer))
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
        journals = {path.name: path.read_bytes() for path in runs.rglob("work/*.jsonl")}
        for name, before in kept.items():
            whole = before[: before.rfind(b"\n") + 1]
            assert journals[name].startswith(whole), "a text was written anew"
        assert 0 < journals[writer].count(b"\n") < 400
        kept = journals
    process = started(plan, "runs")
    _, told = process.communicate(timeout=600)
    assert process.returncode == 0, told
    whole = started(plan, "whole")
    _, told = whole.communicate(timeout=600)
    assert whole.returncode == 0, told
    assert samples(runs) == samples(plan.parent / "whole")
