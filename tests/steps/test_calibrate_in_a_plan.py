"""A plan that calibrates: gates against other rankings, a label map, abstention, the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import gradus
from gradus.cli import main as cli
from gradus.records import State
from gradus.testing import World
from gradus.testing.world import default_rows

LABELS = ("sport", "business", "tech")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("plan")
    rng = np.random.default_rng(1)
    rows = [
        (text, label if rng.random() < 0.8 else str(rng.choice(LABELS)))
        for text, label in default_rows()
    ]
    steps: list[dict[str, Any]] = [
        {"id": "floor", "step": "baseline", "data": "news"},
        {
            "id": "calibrated",
            "step": "calibrate",
            "model": "floor",
            "abstain": {"coverage": 0.6},
            "gates": [
                "log_loss <= floor + 0.5",
                "aurc <= floor.aurc_margin + 0.9",
                "aurc <= calibrated.aurc_random + 0.9",
                "coverage >= 0.1",
                "selective_accuracy >= 0.1",
            ],
        },
        {
            "id": "renamed",
            "step": "calibrate",
            "model": "floor",
            "label_map": {"tech": "other", "sport": "other"},
            "gates": ["accuracy >= 0.1"],
        },
        {
            "id": "final",
            "step": "evaluate",
            "models": ["floor", "calibrated"],
            "on": "news.test",
            "gates": ["aurc <= calibrated.aurc_random + 0.9", "aurc <= floor.aurc_margin + 0.9"],
        },
    ]
    plan = {
        "name": "tiny",
        "seed": 3,
        "data": {"news": World(folder, rows).data_config},
        "measure": {"cost": False, "bootstrap": 200},
        "steps": steps,
    }
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        return gradus.run(folder / "plan.yaml")


def test_every_gate_is_judged(done: Any) -> None:
    assert done.state is State.DONE
    _, calibrated, renamed, final = done.steps
    assert [v.verdict.value for v in calibrated.gates] == ["open"] * 5
    assert [v.verdict.value for v in (*renamed.gates, *final.gates)] == ["open"] * 3
    named = {m.metric: m for m in calibrated.measurements}
    wrong = calibrated.gates[2].reference
    assert wrong == pytest.approx(1 - named["accuracy"].value)
    assert named["coverage"].value < 1
    assert named["ece_debiased"].ci_low <= named["ece_debiased"].ci_high


def test_labels_are_measured_under_their_new_names(done: Any) -> None:
    names = {m.metric for m in done.steps[2].measurements}
    assert {"f1[other]", "f1[business]"} <= names
    assert "f1[tech]" not in names


def test_the_report_shows_it(done: Any) -> None:
    text = (Path(done.run) / "report.md").read_text(encoding="utf-8")
    assert "Calibration: calibrated" in text
    assert "as sure as right" in (Path(done.run) / "report.html").read_text(encoding="utf-8")


def test_predict_maps_labels(
    done: Any, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (checkpoint,) = Path(done.run).glob("steps/calibrated/*/checkpoint")
    texts = tmp_path / "texts.txt"
    texts.write_text("The striker won the final.\nshares\n", encoding="utf-8")
    label_map = tmp_path / "map.json"
    label_map.write_text('{"sport": "games", "tech": "games"}', encoding="utf-8")
    arguments = ["predict", str(checkpoint), "--input", str(texts), "--top-k", "3"]
    assert cli.main([*arguments, "--label-map", str(label_map)]) == 0
    records = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert {top["label"] for record in records for top in record["top"]} == {"games", "business"}
    assert all(sum(t["probability"] for t in r["top"]) == pytest.approx(1) for r in records)
    assert all("abstained" in record for record in records)
    for content, word in (("{", "JSON"), ("[1]", "object"), ('{"x": "y"}', "no label 'x'")):
        label_map.write_text(content, encoding="utf-8")
        assert cli.main([*arguments, "--label-map", str(label_map)]) == 2
        assert word in capfdbinary.readouterr().err.decode()
