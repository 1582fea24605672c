"""Plans run by two processes: what one measures, signals, and messages."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from gradus.testing.killing import essence, greatest_difference
from gradus.testing.launching import environment, finished, torchrun

from .tiny_run import plan, world_in

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def run_of(folder: Path) -> Path:
    """A plan of a floor and a tuned encoder, both measured on test."""
    world = world_in(folder)
    stages = [
        {"train": "head"},
        {"train": "all", "epochs": 8, "lr": 1e-3, "dropout": 0.0, "batch_size": 8},
    ]
    tuned = {"id": "tuned", "step": "finetune", "model": "encoder", "data": "news"}
    tuned["dtype"] = "float32"
    steps: list[dict[str, Any]] = [
        {"id": "floor", "step": "baseline", "data": "news"},
        {**tuned, "stages": stages, "gates": ["accuracy > 0.0"]},
        {"id": "final", "step": "evaluate", "models": ["floor", "tuned"], "on": "news.test"},
    ]
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan(world, *steps)), encoding="utf-8")
    return path


def pretraining(folder: Path) -> Path:
    """A plan of a tokenizer and a tiny language model without dropout, on made-up documents."""
    draw = random.Random(7)
    words = ["".join(draw.choices("abcdefgh", k=draw.randint(2, 6))) for _ in range(60)]
    documents = [{"text": " ".join(draw.choices(words, k=80))} for _ in range(80)]
    lines = "".join(json.dumps(document) + "\n" for document in documents)
    (folder / "made.jsonl").write_text(lines, encoding="utf-8")
    base = {
        **{"id": "tuned", "step": "pretrain", "corpus": "made", "tokenizer": "tok", "steps": 40},
        "model": {"architecture": "gpt2", "layers": 2, "width": 32, "heads": 2},
        **{"block": 32, "batch_size": 5, "accumulate": 2, "lr": 1e-3, "average": 0.9},
        **{"dtype": "float32", "validate": {"every": 8, "gap_blocks": 8}},
    }
    whole = {
        "name": "mini",
        "seed": 13,
        "corpora": {
            "made": {
                "source": {"file": str(folder / "made.jsonl")},
                "format": "jsonl",
                "split": {"train": 0.6, "dev": 0.4},
            }
        },
        "measure": {"cost": False, "bootstrap": 100},
        "steps": [
            {
                **{"id": "tok", "step": "tokenizer", "corpus": "made", "kind": "byte-bpe"},
                **{"vocabulary": 300, "special": ["<|endoftext|>"]},
            },
            base,
        ],
    }
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(whole), encoding="utf-8")
    return path


def command(folder: Path, runs: str, *more: str) -> list[str]:
    """The arguments that run the folder's plan."""
    return ["-m", "gradus", "run", str(folder / "plan.yaml"), "--runs-dir", runs, *more]


def curves(runs: Path) -> list[dict[str, Any]]:
    (path,) = runs.glob("mini/steps/tuned/*/curves.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_plan_run_by_two_processes_measures_what_one_measures(tmp_path: Path) -> None:
    run_of(tmp_path)
    one, two = tmp_path / "one", tmp_path / "two"
    variables = environment(tmp_path / "state")
    finished([sys.executable, *command(tmp_path, str(one))], variables)
    said = finished(torchrun(*command(tmp_path, str(two), "--json")), variables)
    # Only the leader speaks: one JSON object, whole.
    assert json.loads(said)["state"] == "done"
    first, second = essence(one / "mini"), essence(two / "mini")
    assert first.values
    assert greatest_difference(first, second) <= 1e-5
    assert first.digests["floor"] == second.digests["floor"]
    rows = list(zip(curves(one), curves(two), strict=True))
    assert len(rows) > 20
    for left, right in rows:
        assert left.keys() == right.keys()
        for name in ("train_loss", "select_loss"):
            assert right.get(name, 0.0) == pytest.approx(left.get(name, 0.0), rel=1e-5)
    assert not list(two.glob("mini/steps/tuned/*/work"))


@pytest.mark.parametrize("shard", [False, True])
def test_two_processes_pretrain_what_one_does_and_outlive_a_kill(
    tmp_path: Path, shard: bool
) -> None:
    pretraining(tmp_path)
    one, two, killed = tmp_path / "one", tmp_path / "two", tmp_path / "killed"
    variables = environment(tmp_path / "state", shard=shard)
    finished([sys.executable, *command(tmp_path, str(one), "--quiet")], variables)
    finished(torchrun(*command(tmp_path, str(two), "--quiet")), variables)
    rows = list(zip(curves(one), curves(two), strict=True))
    assert len(rows) >= 9
    for left, right in rows:
        assert left["tokens"] == right["tokens"]
        for name in ("train_loss", "select_loss", "select_bits_per_byte", "gap"):
            assert right.get(name, 0.0) == pytest.approx(left.get(name, 0.0), rel=1e-5, abs=1e-7)
    assert greatest_difference(essence(one / "mini"), essence(two / "mini")) <= 1e-3
    process = subprocess.Popen(
        torchrun(*command(tmp_path, str(killed), "--quiet")),
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    lock = killed / "mini" / "lock"
    while process.poll() is None and not any(killed.glob("mini/steps/tuned/*/work/snapshot-*-8.*")):
        time.sleep(0.005)
    os.kill(int(lock.read_text(encoding="utf-8")), signal.SIGKILL)
    # torchrun sees that the leader is gone, and ends the other.
    assert process.wait(300) == 1
    assert not any(killed.glob("mini/steps/tuned/*/outcome.json"))
    finished(torchrun(*command(tmp_path, str(killed), "--quiet")), variables)
    assert essence(killed / "mini").digests == essence(two / "mini").digests
    assert greatest_difference(essence(killed / "mini"), essence(two / "mini")) == 0.0


def test_a_run_stopped_by_a_signal_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    run_of(tmp_path)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    variables = environment(tmp_path / "state")
    finished(torchrun(*command(tmp_path, str(whole), "--quiet")), variables)
    process = subprocess.Popen(
        torchrun(*command(tmp_path, str(stopped), "--quiet")),
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not any(stopped.glob("mini/steps/tuned/*/curves.jsonl")):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.wait(300)
    record = json.loads((stopped / "mini" / "run.json").read_text(encoding="utf-8"))
    assert record["state"] == "interrupted"
    finished(torchrun(*command(tmp_path, str(stopped), "--quiet")), variables)
    assert essence(stopped / "mini").digests == essence(whole / "mini").digests
    assert greatest_difference(essence(whole / "mini"), essence(stopped / "mini")) == 0.0


def test_a_process_stopped_alone_does_not_keep_the_leader_waiting(tmp_path: Path) -> None:
    run_of(tmp_path)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    variables = environment(tmp_path / "state")
    finished([sys.executable, *command(tmp_path, str(whole), "--quiet")], variables)
    asked = command(tmp_path, str(stopped), "--quiet")[2:]
    with pytest.raises(RuntimeError, match="exit code 1"):
        finished(torchrun("-m", "tests.runner.stopping", *asked), variables, cwd=ROOT)
    record = json.loads((stopped / "mini" / "run.json").read_text(encoding="utf-8"))
    assert record["state"] == "interrupted"
    finished(torchrun(*command(tmp_path, str(stopped), "--quiet")), variables)
    assert greatest_difference(essence(whole / "mini"), essence(stopped / "mini")) <= 1e-5


def test_an_error_in_a_step_that_trains_together_is_said_once(tmp_path: Path) -> None:
    run_of(tmp_path)
    coupled = "steps.tuned.stages=[{train: all, epochs: 1, loss: {name: supcon}}]"
    done = subprocess.run(
        torchrun(*command(tmp_path, str(tmp_path / "runs"), "--quiet", "--set", coupled)),
        env=environment(tmp_path / "state"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("supcon compares the rows of a batch") == 1
    record = json.loads((tmp_path / "runs" / "mini" / "run.json").read_text(encoding="utf-8"))
    assert record["state"] == "failed"
