"""Searches end to end on a tiny encoder: resumed, extended, pruned, with several objectives."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runner.tiny_run import world_in

import gradus
from gradus.checkpoints import is_checkpoint, read_manifest
from gradus.errors import TrainingError
from gradus.records import RunRecord, State
from gradus.steps.finetune import Finetune
from gradus.tuning.halving import Halving, Trial
from gradus.tuning.search import better, front

from .search_run import STAGES, numbers, searched
from .test_halving import simulate

HEAD = [{"train": "head", "epochs": 1, "lr": {"log": [1e-3, 1e-1]}}]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world_in(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="module")
def whole(state: None, world: Path, tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """A search with halving that nobody disturbed."""
    return gradus.run(searched(world), runs_dir=tmp_path_factory.mktemp("runs"))


def told(record: RunRecord) -> dict[str, Any]:
    return dict(record.step("tuned").facts["tuning"])


def test_the_schedule_is_the_one_by_hand(whole: RunRecord) -> None:
    trials = told(whole)["trials"]
    scores = [[score for _, score in t["rungs"]] + t["values"] for t in trials]
    padded = [row + [0.0] * (3 - len(row)) for row in scores]
    ran = simulate(Halving(2, (1, 2)), padded, last=3)
    reached = {n: max(stage for number, stage in ran if number == n) for n in range(6)}
    assert reached == {t["number"]: len(t["rungs"]) + (t["state"] == "done") for t in trials}


def test_the_checkpoint_is_the_winners(whole: RunRecord) -> None:
    step = whole.step("tuned")
    best = max(
        (t for t in told(whole)["trials"] if t["state"] == "done"),
        key=lambda t: (t["values"][0], -t["number"]),
    )
    assert told(whole)["best"] == best["number"]
    row = next(row for row in step.facts["inner"] if row["name"] == best["name"])
    assert row["scores"]["accuracy"] == best["values"][0]
    own = Path(whole.run) / row["folder"] / "checkpoint"
    assert read_manifest(whole.checkpoint("tuned")).digest == read_manifest(own).digest
    kept = [r["name"] for r in step.facts["inner"] if _weights(whole, r)]
    assert kept == [best["name"]]
    assert any(m.metric == "accuracy" and m.split == "dev.gate" for m in step.measurements)


def _weights(record: RunRecord, row: dict[str, Any]) -> bool:
    return is_checkpoint(Path(record.run) / row["folder"] / "checkpoint")


def test_more_trials_later_train_only_those(
    whole: RunRecord, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    run = Finetune.run

    def counted(self: Any, config: Any, context: Any) -> Any:
        ran.append(context.id)
        return run(self, config, context)

    monkeypatch.setattr(Finetune, "run", counted)
    more = gradus.run(searched(world, budget={"trials": 7}), runs_dir=Path(whole.run).parent)
    before, after = told(whole)["trials"], told(more)["trials"]
    assert [t["params"] for t in after[:6]] == [t["params"] for t in before]
    touched = {t["name"] for t in after if t not in before}
    assert {name.partition("/")[2] for name in ran} == touched


def test_a_grid_tries_every_cell(state: None, world: Path, tmp_path: Path) -> None:
    stages = [{**HEAD[0], "lr": {"log": [1e-3, 1e-1]}, "batch_size": {"choice": [16, 32]}}]
    plan = searched(
        world, stages=stages, sampler={"name": "grid", "points": 2}, pruner=None, budget={}
    )
    trials = told(gradus.run(plan, runs_dir=tmp_path))["trials"]
    cells = {(t["params"]["stages[0].lr"], t["params"]["stages[0].batch_size"]) for t in trials}
    assert cells == {(lr, size) for lr in (1e-3, 1e-1) for size in (16, 32)}
    assert [t["state"] for t in trials] == ["done"] * 4


def test_several_objectives_have_a_front(state: None, world: Path, tmp_path: Path) -> None:
    stages = [{"train": "head", "epochs": 1, "lr": {"choice": [1e-3, 1e-2, 1e-1]}}]
    objectives = ["log_loss", {"metric": "f1_macro"}, "size_mb"]
    plan = searched(
        world, stages=stages, pruner=None, objectives=objectives, sampler="grid", budget={}
    )
    found = told(gradus.run(plan, runs_dir=tmp_path))
    higher = (False, True, False)
    rows = [tuple(t["values"]) for t in found["trials"]]
    expected = [
        n for n, row in enumerate(rows) if not any(better(other, row, higher) for other in rows)
    ]
    assert found["front"] == expected
    assert found["best"] in expected
    assert found["objectives"][0] == {"metric": "log_loss", "direction": "lower"}
    again = gradus.run(plan, runs_dir=tmp_path)
    assert again.step("tuned").state is State.REUSED
    # Timed in another way, all are timed again, those whose weights were dropped among them.
    plan["measure"] = {**plan["measure"], "latency_texts": 3}
    anew = gradus.run(plan, runs_dir=tmp_path)
    assert anew.step("tuned").state is State.DONE
    assert [t["params"] for t in told(anew)["trials"]] == [t["params"] for t in found["trials"]]
    rows = [row for row in anew.step("tuned").facts["inner"] if row["name"].startswith("trial")]
    for row in rows:
        assert len(list((Path(anew.run) / row["folder"]).glob("costs-*.json"))) == 2


def test_a_trial_that_fails_is_kept_and_the_search_goes_on(
    state: None, world: Path, tmp_path: Path
) -> None:
    stages = [{"train": "all", "steps": 3, "clip": None, "lr": {"choice": [1e-3, 1e30]}}]
    plan = searched(world, stages=stages, pruner=None, sampler="grid", budget={})
    record = gradus.run(plan, runs_dir=tmp_path / "a")
    assert [t["state"] for t in told(record)["trials"]] == ["done", "failed"]
    assert "learning rate" in told(record)["trials"][1]["error"]
    stages = [{**stages[0], "lr": {"choice": [1e29, 1e30]}}]
    plan = searched(world, stages=stages, pruner=None, sampler="grid", budget={})
    with pytest.raises(TrainingError, match="none of 2 trials"):
        gradus.run(plan, runs_dir=tmp_path / "b")


def test_the_budget_pays_for_trials_that_fail(state: None, world: Path, tmp_path: Path) -> None:
    """Each trains its head for an epoch before its loss is no number any more."""
    second = {"train": "all", "steps": 3, "clip": None, "lr": {"log": [1e28, 1e30]}}
    stages = [{"train": "head", "epochs": 1}, second]
    budget = {"tokens": 5000}
    plan = searched(world, stages=stages, pruner=None, sampler="random", budget=budget)
    with pytest.raises(TrainingError) as failed:
        gradus.run(plan, runs_dir=tmp_path)
    costs = [json.loads(p.read_text("utf-8"))["cost"] for p in tmp_path.rglob("failed.json")]
    each = [cost["train_tokens"] for cost in costs]
    assert min(each) > 250
    assert all(cost["train_seconds"] > 0 for cost in costs)
    assert sum(each) - max(each) < 5000 <= sum(each)
    assert f"none of {len(costs)} trials could be ended" in str(failed.value)


def test_settings_proposed_twice_are_trained_once_and_stay(
    state: None, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    run = Finetune.run

    def counted(self: Any, config: Any, context: Any) -> Any:
        ran.append(context.id)
        return run(self, config, context)

    monkeypatch.setattr(Finetune, "run", counted)
    stages = [{"train": "head", "epochs": 1, "lr": {"choice": [1e-3, 1e-1]}}]
    more: dict[str, Any] = {"sampler": "random", "budget": {"trials": 5}}
    record = gradus.run(searched(world, stages=stages, pruner=None, **more), runs_dir=tmp_path)
    trials = told(record)["trials"]
    assert len(trials) == 5
    assert len(ran) == len({t["params"]["stages[0].lr"] for t in trials}) == 2
    best = trials[told(record)["best"]]
    row = next(r for r in record.step("tuned").facts["inner"] if r["name"] == best["name"])
    assert _weights(record, row)


def test_tokens_and_patience_end_a_search(state: None, world: Path, tmp_path: Path) -> None:
    budget = {"trials": 9, "tokens": 1000}
    plan = searched(world, stages=HEAD, pruner=None, budget=budget, sampler="random")
    found = told(gradus.run(plan, runs_dir=tmp_path / "a"))
    used = [t["tokens"] for t in found["trials"]]
    assert sum(used[:-1]) < 1000 <= sum(used)
    assert "used up" in found["ended"]
    plan = searched(world, stages=HEAD, pruner=None, patience=2, sampler="random")
    found = told(gradus.run(plan, runs_dir=tmp_path / "b"))
    assert len(found["trials"]) == min(6, found["best"] + 3)


def test_a_range_test_narrows_its_space(state: None, world: Path, tmp_path: Path) -> None:
    stages = [{"train": "head", "epochs": 1, "lr": {"log": [1e-7, 1.0]}}]
    test = {"steps": 40, "high": 1.0}
    plan = searched(world, stages=stages, pruner=None, lr_range_test=test, budget={"trials": 2})
    found = told(gradus.run(plan, runs_dir=tmp_path))
    low, high = found["range_test"]["low"], found["range_test"]["high"]
    rates = found["range_test"]["rates"]
    assert rates == sorted(rates)
    assert rates[-1] / rates[0] > 1e4
    assert 1e-7 < low < high <= 1.0
    assert (found["spaces"][0]["low"], found["spaces"][0]["high"]) == (low, high)
    for trial in found["trials"]:
        assert low <= trial["params"]["stages[0].lr"] <= high


def test_a_front_is_who_is_beaten_by_nobody() -> None:
    rows = [(0.9, 5.0), (0.8, 2.0), (0.8, 3.0), (0.9, 5.0), (0.7, 1.0), (0.6, 1.5)]
    trials = [Trial(n, {}, "done", values=row) for n, row in enumerate(rows)]
    trials.append(Trial(9, {}, "failed"))
    assert [trial.number for trial in front(trials, (True, False))] == [0, 1, 3, 4]


@pytest.mark.slow
def test_twenty_kills_change_nothing(world: Path, tmp_path: Path) -> None:
    """SIGKILL at random moments; the same trials, the same best, the same numbers."""
    draw = random.Random(7)
    command = [sys.executable, "-m", "tests.tuning.search_run", str(world), str(tmp_path)]
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root / "src"), str(root)])
    environment = {**os.environ, "PYTHONPATH": path}
    began = time.monotonic()
    subprocess.run(command, env=environment, cwd=root, check=True, capture_output=True)
    seconds = time.monotonic() - began
    expected = numbers(tmp_path / "mini")
    assert len(expected["tuning"]["trials"]) == 6
    for kill in range(20):
        runs = tmp_path / f"killed-{kill}"
        command[-1] = str(runs)
        process = subprocess.Popen(
            command, env=environment, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        time.sleep(draw.uniform(0.15, 1.0) * seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        subprocess.run(command, env=environment, cwd=root, check=True, capture_output=True)
        assert numbers(runs / "mini") == expected, f"kill {kill}"


def test_a_search_that_is_over_is_reused(whole: RunRecord, world: Path) -> None:
    again = gradus.run(searched(world), runs_dir=Path(whole.run).parent)
    assert again.step("tuned").state is State.REUSED
    assert len(STAGES) == 3
