"""Killed at any moment, a run goes on to the same bits."""

from __future__ import annotations

import random

import pytest

from gradus.testing.killing import essence, greatest_difference, kill_after, run_to_end

from .plans import ENCODER, FLOOR, HEAD, Runs

MOMENTS = 6
TUNED = {
    **HEAD,
    "stages": [
        {"train": "head"},
        {"train": "top-2", "epochs": 1, "dropout": 0.1},
        {"train": "all", "epochs": 1, "patience": 1},
    ],
}
SMALL = {"id": "small", "step": "quantize", "model": "tuned", "scheme": "int8-dynamic"}
FINAL = {
    "id": "final",
    "step": "evaluate",
    "models": ["floor", "tuned", "small"],
    "on": "news.test",
}


@pytest.mark.slow
def test_killed_at_random_moments_and_gone_on_with(runs: Runs) -> None:
    plan = runs.plan(FLOOR, TUNED, SMALL, FINAL, models=ENCODER)
    place = {"cwd": runs.folder, "env": runs.environment}
    seconds = run_to_end(runs.command("run", plan, "--runs-dir", "whole"), **place)
    whole = essence(runs.folder / "whole" / "mini")
    assert set(whole.digests) == {"floor", "floor.majority", "tuned", "small"}
    draw = random.Random(7)
    killed = 0
    for moment in range(MOMENTS):
        # One moment in each sixth of the run, so that every phase is met.
        after = seconds * (moment + draw.random()) / MOMENTS
        command = runs.command("run", plan, "--runs-dir", f"killed-{moment}")
        killed += kill_after(command, after, **place)
        run_to_end(command, **place)
        resumed = essence(runs.folder / f"killed-{moment}" / "mini")
        assert resumed.digests == whole.digests, f"killed after {after:.1f} s of {seconds:.1f}"
        assert greatest_difference(resumed, whole) == 0.0
    assert killed >= MOMENTS // 2
