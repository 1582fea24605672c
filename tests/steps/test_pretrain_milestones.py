"""Milestones of step `pretrain`: what a shorter training gives, whatever comes afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import gradus
from gradus.checkpoints import read_manifest
from gradus.steps.pretrain import PretrainConfig
from gradus.testing.world import ListeningMonitor, World

from .test_pretrain import Breaking, Plays

SAID: dict[str, Any] = {
    "corpus": "few",
    "tokenizer": "bpe",
    "model": {"architecture": "gpt2", "layers": 1, "width": 32, "heads": 2, "dropout": 0.1},
    "block": 32,
    "batch_size": 4,
    "schedule": "constant",
    "warmup": 0,
    "lr": 1e-3,
    "validate": {"every": 3, "documents": 2},
}


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Plays:
    return Plays(tmp_path_factory.mktemp("plays"))


def weights(folder: Path) -> str:
    return read_manifest(folder).files["model.safetensors"].sha256


def test_a_milestone_is_what_a_shorter_training_ends_with(plays: Plays) -> None:
    whole, _ = plays.run("whole", **SAID, steps=9, milestones=[2, 6])
    assert set(whole.extras) == {"at-2", "at-6"}
    assert whole.checkpoint is not None
    ends = {}
    for steps in (2, 6, 9):
        outcome, _ = plays.run(f"short-{steps}", **{**SAID, "validate": {}}, steps=steps)
        assert outcome.checkpoint is not None
        ends[steps] = weights(outcome.checkpoint)
    made = {2: whole.extras["at-2"], 6: whole.extras["at-6"], 9: whole.checkpoint}
    assert {steps: weights(path) for steps, path in made.items()} == ends
    assert len(set(ends.values())) == 3
    manifest = read_manifest(whole.extras["at-6"])
    assert manifest.facts["updates"] == 6
    assert manifest.preprocessing == read_manifest(whole.checkpoint).preprocessing
    assert not list((plays.folder / "whole" / "work").glob("milestone-*.partial"))


def test_what_broke_off_comes_to_the_same_milestones(plays: Plays) -> None:
    said = {**SAID, "steps": 9, "milestones": [3, 7], "average": 0.9}
    whole, _ = plays.run("averaged", **said)
    broken = Breaking(None)
    with pytest.raises(OSError, match="lights"):
        plays.run("broken", monitor=broken, **said)
    again = ListeningMonitor(None)
    again.rows = broken.rows
    outcome, _ = plays.run("broken", monitor=again, **said)
    for name, folder in whole.extras.items():
        assert read_manifest(outcome.extras[name]).digest == read_manifest(folder).digest
    assert outcome.facts["digest"] == whole.facts["digest"]


def test_milestones_that_training_does_not_come_to_are_told(plays: Plays) -> None:
    outcome, _ = plays.run("short", **{**SAID, "validate": {}}, epochs=0.05, milestones=[1, 900])
    assert set(outcome.extras) == {"at-1"}
    assert outcome.notes == (
        "milestones 900: training ended before; there are no such checkpoints",
    )


@pytest.mark.parametrize(
    ("milestones", "said"),
    [([9], "isn't before the end"), ([3, 2], "each greater"), ([2, 2], "each greater"), ([0], "1")],
)
def test_faults_are_told_before_training(milestones: list[int], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        PretrainConfig.model_validate({**SAID, "steps": 9, "milestones": milestones})


def test_a_plan_measures_milestones_and_holds_one_against_another(tmp_path: Path) -> None:
    world = World(tmp_path)
    base = {
        "id": "base",
        "step": "pretrain",
        **SAID,
        "corpus": "news",
        "tokenizer": "lm",
        "steps": 30,
        "milestones": [3],
        "gates": ["bits_per_byte < base.at-3"],
    }
    world.model("lm")
    plan = {
        "name": "mini",
        "seed": 1,
        "corpora": {"news": world.corpus_config},
        "models": {"lm": {"folder": str(tmp_path / "lm")}},
        "measure": {"bootstrap": 200},
        "steps": [base],
    }
    record = gradus.run(plan, runs_dir=tmp_path / "runs")
    step = record.step("base")
    measured = {m.checkpoint for m in step.measurements if m.metric == "bits_per_byte"}
    assert measured == {"base", "base.at-3"}
    assert str(step.gates[0].verdict) == "open"
    assert set(step.checkpoints) == {"at-3"}
