"""A step's control, the same training without what the step is about: compared without a gate."""

from __future__ import annotations

from pathlib import Path

import pytest

import gradus
from gradus.runner import gating

from .tiny_run import plan, world_in


def test_a_control_is_compared_item_by_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A baseline's further checkpoint stands for the control: no second training is needed.
    monkeypatch.setattr(gating, "CONTROL", "majority")
    folder = tmp_path / "world"
    folder.mkdir()
    floor = {"step": "baseline", "data": "news"}
    steps = ({"id": "first", **floor}, {"id": "second", **floor, "lowercase": False})
    record = gradus.run(plan(world_in(folder), *steps), runs_dir=folder / "runs")
    for name, others in (("first", set()), ("second", {"first"})):
        step = record.step(name)
        own = {m.checkpoint: m for m in step.measurements if m.metric == "accuracy"}
        rows = [row for row in step.facts["changes"] if row["metric"] == "accuracy"]
        assert {row["against"] for row in rows} == {f"{name}.majority", *others}
        (row,) = (row for row in rows if row["against"] == f"{name}.majority")
        difference = own[name].value - own[f"{name}.majority"].value
        assert row["difference"] == pytest.approx(difference)
        assert row["ci_low"] < difference < row["ci_high"]
        assert row["p_value"] < 0.05
        assert row["significant"]
        # What stands before a step comes first: it is what the step's own row shows.
        assert rows[-1]["against"] == f"{name}.majority"
