from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gradus
from gradus.records import RunRecord
from gradus.testing.world import World


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A ledger of these tests' own: fixtures of a session come before those of its tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    World(folder).model("encoder")
    (folder / "encoder" / "README.md").write_text(
        "---\nlicense: apache-2.0\nlanguage: [en]\n---\n# An encoder\n", "utf-8"
    )
    (folder / "encoder" / "LICENSE").write_text("Apache License\nVersion 2.0, January 2004\n")
    (folder / "encoder" / "NOTICE").write_text("Made by somebody.\n")
    return folder


def plan(world: Path) -> dict[str, Any]:
    """Two classifiers, one of them with two seeds; all but the majority class on test."""
    source = {"file": str(world / "news.jsonl"), "license": "CC-BY-4.0"}
    stages = [{"train": "all", "epochs": 1, "lr": 3e-3}]
    return {
        "name": "mini",
        "about": "Which section: sport | tech?",
        "seed": 13,
        "data": {
            "news": {
                "source": source,
                "split": {"train": 0.4, "dev": 0.4, "test": 0.2},
                "audit": False,
            }
        },
        "models": {"encoder": {"folder": str(world / "encoder")}},
        "measure": {"cost": False, "bootstrap": 100},
        "steps": [
            {"id": "floor", "step": "baseline", "data": "news"},
            {
                "id": "tuned",
                "step": "finetune",
                "model": "encoder",
                "data": "news",
                "stages": stages,
                "seeds": 2,
                "gates": ["accuracy >= 0.01"],
            },
            {
                "id": "final",
                "step": "evaluate",
                "models": ["floor", "tuned"],
                "on": "news.test",
                "early_test": "the last step's gate is closed on purpose",
            },
            {
                "id": "late",
                "step": "finetune",
                "model": "encoder",
                "data": "news",
                "stages": stages,
                "gates": ["accuracy > floor + 0.5"],
            },
        ],
    }


@pytest.fixture(scope="session")
def run(state: None, world: Path, tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """The plan, run; its last gate is closed."""
    made = plan(world)
    made["steps"][3]["gates"] = ["accuracy >= 1.01"]
    return gradus.run(made, runs_dir=tmp_path_factory.mktemp("runs"))


def raw(record: RunRecord) -> dict[str, Any]:
    """The record as it stands in the run folder."""
    found: dict[str, Any] = json.loads((Path(record.run) / "run.json").read_text("utf-8"))
    return found
