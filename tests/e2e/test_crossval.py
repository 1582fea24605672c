"""A cross-validation in a run of its own: killed at any moment, and shown in the report."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from gradus.testing.killing import essence, greatest_difference, kill_after, run_to_end

from .plans import Runs

MOMENTS = 20
TINY = {"tiny": {"scratch": "bert", "layers": 1, "width": 32, "tokenizer": "characters"}}
FOLDS: dict[str, Any] = {
    "id": "folds",
    "step": "crossval",
    "data": "news",
    "folds": 3,
    "repeats": 1,
    "scheme": "stratified",
    "refit": "ensemble",
    "configurations": {
        "words": {"step": "baseline"},
        "letters": {
            "step": "finetune",
            "model": "tiny",
            "max_tokens": 32,
            "objective": {"name": "classify", "pooling": "mean"},
            "stages": [{"train": "all", "embeddings": True, "epochs": 2, "dropout": 0.2}],
        },
    },
}


def result(run: Path) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    """Facts without what was timed, out-of-fold predictions, and the doubted labels."""
    record = json.loads((run / "run.json").read_text("utf-8"))
    (step,) = record["steps"]
    facts = {key: value for key, value in step["facts"].items() if key != "inner"}
    facts["configurations"] = [
        {key: value for key, value in one.items() if key != "seconds"}
        for one in facts["configurations"]
    ]
    place = run / step["folder"]
    rows = pq.read_table(place / "out-of-fold.parquet").to_pylist()
    return facts, rows, (place / "doubts.jsonl").read_text("utf-8")


@pytest.mark.slow
def test_killed_at_random_moments_it_gives_the_same_folds_and_numbers(runs: Runs) -> None:
    plan = runs.plan(FOLDS, models=TINY)
    place = {"cwd": runs.folder, "env": runs.environment}
    seconds = run_to_end(runs.command("run", plan, "--runs-dir", "whole"), **place)
    whole = essence(runs.folder / "whole" / "mini")
    expected = result(runs.folder / "whole" / "mini")
    draw, killed, folder = random.Random(5), 0, 0
    while killed < MOMENTS:
        # Killed again and again until it ends by itself, then a new one, up to twenty kills.
        command = runs.command("run", plan, "--runs-dir", f"killed-{folder}")
        if kill_after(command, draw.uniform(0.1, 1.0) * seconds, **place):
            killed += 1
            if killed < MOMENTS:
                continue
        run_to_end(command, **place)
        resumed = essence(runs.folder / f"killed-{folder}" / "mini")
        assert resumed.digests == whole.digests, f"after {killed} kills"
        assert greatest_difference(resumed, whole) == 0.0
        assert result(runs.folder / f"killed-{folder}" / "mini") == expected
        shutil.rmtree(runs.folder / f"killed-{folder}")
        folder += 1


@pytest.mark.slow
def test_editing_the_plan_trains_only_what_is_new(runs: Runs) -> None:
    """Another metric trains nothing; another level says other intervals of the same folds."""
    small = {**FOLDS, "refit": "all"}
    runs("run", runs.plan(small, models=TINY))
    inner = runs.folder / "runs" / "mini" / "steps" / "folds" / "inner"
    held = {path: path.stat().st_mtime_ns for path in inner.glob("*/held-*.parquet")}
    assert len(held) == 2 * 3
    before, rows, _ = result(runs.folder / "runs" / "mini")
    runs("run", runs.plan({**small, "metric": "log_loss"}, models=TINY))
    after, same, _ = result(runs.folder / "runs" / "mini")
    assert {path: path.stat().st_mtime_ns for path in inner.glob("*/held-*.parquet")} == held
    assert (after["metric"], same) == ("log_loss", rows)
    measure = {"cost": False, "bootstrap": 200, "level": 0.8}
    runs("run", runs.plan(small, models=TINY, measure=measure))
    narrow, _, _ = result(runs.folder / "runs" / "mini")
    assert (before["level"], narrow["level"]) == (0.95, 0.8)
    for one, two in zip(before["configurations"], narrow["configurations"], strict=True):
        assert one["values"] == two["values"]
        assert one["high"] - one["low"] > two["high"] - two["low"]
    page = (runs.folder / "runs" / "mini" / "report.html").read_text("utf-8")
    assert "Cross-validation" in page
    assert "corrected resampled t-test" in page
