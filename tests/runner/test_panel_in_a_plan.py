"""A panel in a plan from start to end: written, waited for, rated, measured, judged, reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gradus
from gradus.cli.rate import opened
from gradus.panel import setting
from gradus.records import RunRecord, State
from gradus.testing.world import World

GATES = ["panel_fluency < human", "panel_coherence <= 2"]


def plan(world: World, *, each: int = 40, gates: list[str]) -> dict[str, Any]:
    world.model("lm")
    return {
        "name": "asked",
        "seed": 3,
        "corpora": {"plays": world.corpus_config},
        "models": {"lm": {"folder": str(world.folder / "lm")}},
        "measure": {"cost": False, "bootstrap": 200},
        "steps": [
            {
                "id": "written",
                "step": "sample",
                "writers": ["lm"],
                "human": True,
                "prompts": {"corpus": "plays", "number": 8, "characters": 14, "then": 14},
                "decoding": {"temperature": 0.8, "max_tokens": 6},
            },
            {
                "id": "people",
                "step": "panel",
                "of": "written",
                "criteria": ["fluency", "coherence"],
                "raters": 2,
                "each": each,
                "gates": gates,
            },
        ],
    }


def rate(run: Path) -> None:
    """Two raters who give a model 2 points, or 1, and people 4, or 5."""
    from gradus.writing.records import read_samples

    panel = setting.find(run)
    writer = {one.id: one.writer for one in read_samples(panel.samples).writings}
    with opened(panel, None) as store:
        for number, rater in enumerate(store.raters()):
            for at, item in enumerate(store.items(rater)):
                usual = 4 if writer.get(item.first) == "human" else 1
                value = item.expected or usual + (at + number) % 2
                nonce = store.nonce(rater, item.name)
                scores = dict.fromkeys(panel.setting.criteria, value)
                assert store.submit(rater, item.name, nonce, scores, 2.0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    folder = tmp_path / "world"
    folder.mkdir()
    return World(folder)


def test_from_samples_to_verdicts(world: World, tmp_path: Path) -> None:
    made = plan(world, gates=GATES)
    first = gradus.run(made, runs_dir=tmp_path)
    assert first.state is State.WAITING
    assert first.step("written").state is State.DONE
    waiting = first.step("people").waiting
    assert waiting is not None
    assert waiting.why == "0 of 2 raters have finished"
    rate(Path(first.run))
    record = gradus.run(made, runs_dir=tmp_path)
    assert record.state is State.DONE, record.step("people").gates
    assert record.step("written").state is State.REUSED
    means = scores(record)
    assert means["human"] > 4
    assert means["lm"] < 2
    assert [str(verdict.verdict) for verdict in record.step("people").gates] == ["open", "open"]
    assert record.step("people").facts["answers"]["counted"] == ["rater-1", "rater-2"]
    page = (Path(record.run) / "report.html").read_text(encoding="utf-8")
    assert "panel_fluency" in page


def test_what_nobody_was_shown_isnt_counted(world: World, tmp_path: Path) -> None:
    made = plan(world, each=7, gates=["panel_fluency < human"])
    rate(Path(gradus.run(made, runs_dir=tmp_path).run))
    step = gradus.run(made, runs_dir=tmp_path).step("people")
    assert step.state is State.DONE, step.gates
    # Seven of two writers are three whole prompts of eight.
    assert {m.n for m in step.measurements} == {3}
    assert "on 3 shared items" in step.gates[0].why


def scores(record: RunRecord) -> dict[str, float]:
    return {
        m.checkpoint: float(m.value or 0)
        for m in record.step("people").measurements
        if m.metric == "panel_fluency"
    }
