"""The section of calibration, from what a step that really ran has said of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradus.records import State, StepRecord
from gradus.report import facts, write_report
from gradus.report.calibration import SHOWN, calibrations
from gradus.testing import World

from .runs import step
from .sample import Sample


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    world = World(tmp_path_factory.mktemp("world"))
    config = {
        "model": "floor",
        "data": "news",
        "temperature": 1.5,
        "abstain": {"coverage": 0.5},
        "label_map": {"tech": "<b>science</b>"},
    }
    return dict(world.run("calibrate", config, world.folder / "out").facts)


def run(folder: Path, *steps: StepRecord) -> Path:
    sample = Sample(folder)
    return sample.write(sample.record(State.DONE, list(steps)))


def test_it_says_what_was_settled(tmp_path: Path, told: dict[str, Any]) -> None:
    kept = {"metric": "f1_macro", "before": 0.8, "after": 0.9, "held_out": 0.85}
    kept["kept"] = {"sport": 0.25}
    sure = {**told["abstain"], "least": 0.9, "asked": {"accuracy": 0.9}}
    place = run(
        tmp_path,
        step("plain", "calibrate.v1", facts=told),
        step("more", "calibrate.v1", facts={**told, "thresholds": kept, "abstain": sure}),
        step("failed", "calibrate.v1", facts={}),
    )
    plain, more = calibrations(facts(place))
    assert any("Temperature 1.5, as the plan gives it" in s for s in plain.said)
    assert any("of dev.select is answered" in s for s in plain.said)
    assert any("tech to <b>science</b>" in s for s in plain.said)
    assert any("0.850 on items that they weren't tuned on." in s for s in more.said)
    assert any("right in at least 90% of cases" in s for s in more.said)
    assert [[c.text for c in row] for row in more.thresholds.rows] == [["sport", "0.250"]]
    assert [row[0].text for row in plain.scores.rows][:2] == ["log_loss", "ece_debiased"]
    reliability, answered = plain.figures
    assert len(reliability.table.rows) == sum(
        len(told["reliability"][w]) for w in ("before", "after")
    )
    assert answered.table.rows[-1][0].text == "1"


def test_both_renderers_show_it_and_nothing_twice(tmp_path: Path, told: dict[str, Any]) -> None:
    place = run(tmp_path, step("calibrated", "calibrate.v1", facts=told))
    write_report(place)
    page = (place / "report.html").read_text(encoding="utf-8")
    text = (place / "report.md").read_text(encoding="utf-8")
    assert '<section id="calibration">' in page
    assert page.count("bins of equal mass of dev.select") >= 2
    assert "<b>science</b>" not in page
    assert "## Calibration: calibrated" in text
    assert "mean probability" in text
    for name in SHOWN:
        assert f"<dt>{name}</dt>" not in page
