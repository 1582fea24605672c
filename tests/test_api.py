"""The same in Python: run a plan, or use any step, metric or gate without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

import gradus
from gradus.errors import PlanError, TrainingError, UsageError
from gradus.records import Answer, State
from gradus.testing import World

FLOOR: dict[str, Any] = {"id": "floor", "step": "baseline", "data": "news", "ngrams": [1, 1]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def plan(world: World, *steps: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "api",
        "data": {"news": world.data_config},
        "measure": {"cost": False, "bootstrap": 100},
        "steps": list(steps or (FLOOR,)),
    }


def test_what_is_public_can_be_had() -> None:
    for name in gradus.__all__:
        assert getattr(gradus, name) is not None
    assert set(dir(gradus)) == set(gradus.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gradus.nothing


def test_a_plan_as_a_dict_runs_and_its_checkpoint_predicts(world: World, tmp_path: Path) -> None:
    record = gradus.run(plan(world), runs_dir=tmp_path / "runs", overrides=["steps.floor.C=3.0"])
    assert record.state is State.DONE
    assert (Path(record.run) / "report.html").is_file()
    model = gradus.load(record.checkpoint("floor"))
    assert model.predict(["The striker won the final."])[0].label == "sport"
    again = gradus.run(plan(world), runs_dir=tmp_path / "runs", overrides=["steps.floor.C=3.0"])
    assert again.step("floor").state is State.REUSED


def test_plans_with_faults_and_checked_plans(world: World, tmp_path: Path) -> None:
    from gradus.plan import plan_from_dict

    with pytest.raises(PlanError, match="did you mean 'baseline'"):
        gradus.run(plan(world, {**FLOOR, "step": "baselin"}), runs_dir=tmp_path / "runs")
    checked = plan_from_dict(plan(world))
    with pytest.raises(UsageError, match="overrides apply to a plan file or dict"):
        gradus.run(checked, overrides=["seed=2"])
    assert gradus.run(checked, runs_dir=tmp_path / "runs").state is State.DONE
    assert gradus.check(tmp_path / "none.yaml")[0].message.startswith("can't be read")


def test_a_run_that_fails_leaves_a_report(world: World, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="lower min_df"):
        gradus.run(plan(world, {**FLOOR, "min_df": 9999}), runs_dir=tmp_path / "runs")
    assert (tmp_path / "runs/api/report.html").is_file()


def test_steps_without_a_plan(world: World, tmp_path: Path) -> None:
    data = gradus.load_data(world.folder / "news.jsonl", seed=3, name="news")
    assert set(data.labels) == {"sport", "business", "tech"}
    outcome = gradus.step("baseline", out=tmp_path / "floor", data=data, C=1.0)
    assert outcome.checkpoint == tmp_path / "floor" / "checkpoint"
    assert gradus.load(outcome.checkpoint).labels == data.labels
    with pytest.raises(UsageError, match=r"(?s)step baseline: .*colour"):
        gradus.step("baseline", out=tmp_path / "x", data=data, colour="red")
    encoder = world.model("encoder").path
    stages = [{"train": "head"}]
    model = gradus.finetune(encoder, data, out=tmp_path / "tuned", stages=stages)
    assert model.kind == "transformer"
    deeper = gradus.finetune(
        tmp_path / "tuned/checkpoint", data, out=tmp_path / "more", stages=stages
    )
    assert len(deeper.predict(["x", "y"])) == 2


def test_a_step_on_a_corpus_without_a_plan(world: World, tmp_path: Path) -> None:
    corpus = world.corpus("news")
    outcome = gradus.step(
        "tokenizer", out=tmp_path / "tok", corpora=[corpus], kind="bytes", special=["<|endoftext|>"]
    )
    assert outcome.checkpoint == tmp_path / "tok" / "checkpoint"
    assert (outcome.checkpoint / "tokenizer.json").exists()


def test_metrics_without_a_plan() -> None:
    gold, predicted = list("aabbbc"), list("abbbbc")
    found = gradus.metric("f1_macro", gold, predicted)
    assert found.value == pytest.approx(f1_score(gold, predicted, average="macro"))
    assert (found.n, found.unit, found.direction) == (6, "proportion", "higher")
    one = gradus.metric("recall[b]", gold, predicted)
    assert one.value == 1.0
    rows = np.log(np.full((6, 3), 1 / 3))
    loss = gradus.metric("log_loss", gold, predicted, log_probs=rows)
    assert loss.value == pytest.approx(np.log(3))
    assert loss.ci_low is not None
    assert loss.ci_low <= np.log(3) + 1e-9


def test_gates_without_a_plan() -> None:
    measured = gradus.metric("accuracy", ["a", "b"] * 50, ["a", "b"] * 49 + ["a", "a"])
    assert gradus.gate("accuracy >= 0.9", [measured]).verdict is Answer.OPEN
    assert gradus.gate("accuracy >= 0.995", [measured]).verdict is Answer.CLOSED
    assert gradus.gate("f1_macro >= 0.9", [measured]).verdict is Answer.CLOSED
    with pytest.raises(UsageError, match=r"use gradus\.gates\.judge"):
        gradus.gate("accuracy >= tuned", [measured])
