"""A run counts what it looked at, and says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradus import looks
from gradus.errors import PlanError
from gradus.plan import load_plan, plan_from_dict
from gradus.records import RunRecord
from gradus.report import facts
from gradus.report.markdown import markdown
from gradus.runner.run import run

from .tiny_run import plan, tuned, world_in


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world_in(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "gradus"


FLOOR = {"id": "floor", "step": "baseline", "data": "news"}
FINAL = {"id": "final", "step": "evaluate", "models": ["floor"], "on": "news.test", "cost": False}


def test_each_configuration_is_a_look(world: Path, tmp_path: Path) -> None:
    steps = [FLOOR, tuned(1, "accuracy >= 0.1"), {**FINAL, "models": ["tuned"]}]
    made = plan_from_dict(plan(world, *steps))
    first = run(made, runs_dir=tmp_path / "runs")
    assert first.looks["news"] == {"dev.gate": 2, "dev.select": 2, "test": 1}
    assert first.readings == {"news": 1}
    _optimism_is_that_of_the_items(first, tmp_path)
    # The same again, in another place: nothing new was seen of dev.
    again = run(made, runs_dir=tmp_path / "elsewhere")
    assert again.looks["news"]["dev.gate"] == 2
    assert again.looks["news"]["dev.select"] == 2
    gates = {e.step: e.gates for e in looks.everything() if e.split == "dev.gate"}
    assert gates == {"floor": 0, "tuned": 1}
    other = plan_from_dict(plan(world, tuned(1, max_tokens=8)))
    third = run(other, runs_dir=tmp_path / "runs")
    assert (third.looks["news"]["dev.gate"], third.looks["news"]["dev.select"]) == (3, 3)


def _optimism_is_that_of_the_items(made: RunRecord, folder: Path) -> None:
    (row,) = [r for r in made.step("tuned").facts["optimism"] if r["metric"] == "accuracy"]
    (gate,) = [m for m in made.step("tuned").measurements if m.metric == "accuracy"]
    assert row["gate"] == {
        "value": gate.value,
        "ci_low": gate.ci_low,
        "ci_high": gate.ci_high,
        "n": gate.n,
    }
    curves = (folder / "runs" / "mini" / str(made.step("tuned").curves)).read_text().splitlines()
    scored = [json.loads(line)["select_accuracy"] for line in curves if "select_acc" in line]
    assert row["select"]["value"] == pytest.approx(max(scored))
    assert row["optimism"] == pytest.approx(row["select"]["value"] - gate.value)
    assert row["ci_low"] < row["optimism"] < row["ci_high"]
    page = markdown(facts(folder / "runs" / "mini"))
    assert "news: dev.gate has been looked at 2 times, test 1 time" in page
    assert "optimism" in page


def test_looks_that_cant_be_written_cost_the_count_alone(
    world: Path, tmp_path: Path, state: Path
) -> None:
    (state / "looks.jsonl").mkdir(parents=True)
    made = run(plan_from_dict(plan(world, FLOOR)), runs_dir=tmp_path / "runs")
    assert str(made.state) == "done"
    assert "dev.gate" not in made.looks["news"]


def test_test_is_read_last_or_the_plan_says_why(world: Path, tmp_path: Path) -> None:
    later = {**FLOOR, "id": "later"}
    with pytest.raises(PlanError, match="reads test before 'later'"):
        plan_from_dict(plan(world, FLOOR, FINAL, later))
    with pytest.raises(PlanError, match="'floor' doesn't read test"):
        plan_from_dict(plan(world, {**FLOOR, "early_test": "why not"}))
    behind = {**FINAL, "id": "again", "on": "news"}
    plan_from_dict(plan(world, FLOOR, FINAL, behind))  # nothing is made behind it
    said = {**FINAL, "early_test": "the floor is known from print"}
    made = run(plan_from_dict(plan(world, FLOOR, said, later)), runs_dir=tmp_path / "runs")
    assert "the floor is known from print" in made.step("final").notes[0]
    kept = json.loads((tmp_path / "runs" / "mini" / "run.json").read_text())
    assert "the floor is known from print" in kept["steps"][1]["notes"][0]
    resolved = (tmp_path / "runs" / "mini" / "plan.resolved.yaml").read_text()
    assert load_plan(tmp_path / "runs" / "mini" / "plan.resolved.yaml").steps[1].early_test
    assert "early_test: the floor is known from print" in resolved
