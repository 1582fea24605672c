"""The whole job on a tiny encoder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.runner import tiny_run

from gradus import api
from gradus.compressing.base import FILE, ORIGINAL, Wanted
from gradus.compressing.origin import layers, origin
from gradus.compressing.search import budget, compress, load
from gradus.errors import GradusError
from gradus.records import Answer, State


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wanted:
    """A tuned checkpoint in a run folder, and what is asked of it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "world").mkdir()
    world = tiny_run.world_in(tmp_path / "world")
    plan = tiny_run.plan(world, tiny_run.tuned(1))
    checkpoint = api.run(plan, runs_dir=tmp_path / "runs").checkpoint("tuned")
    found = origin(checkpoint)
    assert found is not None
    return Wanted(
        model={"folder": str(checkpoint)},
        layers=layers(checkpoint),
        data=found.data,
        config=found.config,
        budget=budget("accuracy >= parent - 0.4"),
        target="size",
        ways=("quantize",),
        schemes=("int8-dynamic",),
        seed=found.seed,
        measure={"latency_texts": 2, "latency_repeats": 2, "bootstrap": 100},
    )


@pytest.mark.slow
def test_it_chooses_on_select_and_claims_on_test(wanted: Wanted, tmp_path: Path) -> None:
    frontier, record = compress(wanted, runs_dir=tmp_path / "runs")
    names = [p.name for p in frontier.points]
    assert names[:2] == [ORIGINAL, "int8-dynamic"]
    assert "int8-dynamic-trimmed" in names
    splits = {s.id: {m.split for m in s.measurements} for s in record.steps if s.measurements}
    assert splits["select"] == {"dev.select"}
    assert splits["claim"] == {"test"}
    assert record.readings == {"news": 1}
    tested = [p for p in frontier.points if p.verdict is not None]
    assert tested
    assert all(p.within and p.front for p in tested)
    if frontier.recommended is not None:
        chosen = frontier.point(frontier.recommended)
        assert chosen.verdict is not None
        assert chosen.verdict.verdict is Answer.OPEN
        assert frontier.checkpoint == record.step(chosen.name).checkpoint
    assert load(Path(record.run)) == frontier
    assert "Frontier" in (Path(record.run) / "report.html").read_text(encoding="utf-8")

    again, second = compress(wanted, runs_dir=tmp_path / "runs")
    assert again == frontier
    assert second.readings == {"news": 1}
    assert {s.state for s in second.steps} == {State.REUSED}


@pytest.mark.slow
def test_what_cannot_be_made_is_left_out(wanted: Wanted, tmp_path: Path) -> None:
    # Half of no layer: the student's step fails, the rest goes on.
    asked = replace(wanted, ways=("quantize", "distil"), layers=40)
    frontier, _ = compress(asked, runs_dir=tmp_path / "runs")
    assert set(frontier.refused) == {"distilled"}
    assert "int8-dynamic" in {p.name for p in frontier.points}


def test_a_damaged_frontier_is_refused(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    (tmp_path / FILE).write_text(json.dumps({"points": 1}), encoding="utf-8")
    with pytest.raises(GradusError, match=FILE):
        load(tmp_path)
