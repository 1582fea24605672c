"""A judge in a plan from start to end: a gate is undecided until people agree with the judge."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.judge.conftest import OPENINGS, Server, server, text_of
from tests.judge.server import points

import gradus
from gradus.cli.rate import opened
from gradus.errors import PlanError
from gradus.panel import setting
from gradus.records import RunRecord, State
from gradus.testing.world import World

__all__ = ["server"]


def plan(world: World, judge: dict[str, Any], *, panel: bool) -> dict[str, Any]:
    """Twelve prompts, to which people wrote texts of every quality."""
    world.model("lm")
    rows = [
        {"prompt": f"{number} and {opening}", "human": " " + text_of(1 + (number + k) % 5, k)}
        for k, opening in enumerate(OPENINGS)
        for number in (1, 2)
    ]
    file = world.folder / "prompts.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n")
    people = {
        "id": "people",
        "step": "panel",
        "of": "written",
        "criteria": ["fluency"],
        "raters": 2,
        "each": 100,
    }
    return {
        "name": "judged",
        "seed": 3,
        "models": {"lm": {"folder": str(world.folder / "lm")}},
        "measure": {"cost": False, "bootstrap": 200},
        "steps": [
            {
                "id": "written",
                "step": "sample",
                "writers": ["lm"],
                "human": True,
                "prompts": {"file": str(file)},
                "decoding": {"temperature": 0.8, "max_tokens": 12},
            },
            *([people] if panel else []),
            {
                "id": "opinion",
                "step": "judge",
                "of": "written",
                "criteria": ["fluency"],
                "gates": ["judge_fluency >= human - 4.5", "judge_fluency <= 5"],
                **judge,
            },
        ],
    }


def rate(run: Path, value: Callable[[str], int]) -> None:
    """Two raters who say `value` of a text."""
    from gradus.writing.records import read_samples

    panel = setting.find(run)
    texts = {one.id: one.text for one in read_samples(panel.samples).writings}
    with opened(panel, None) as store:
        for rater in store.raters():
            for item in store.items(rater):
                said = item.expected or value(texts[item.first])
                nonce = store.nonce(rater, item.name)
                assert store.submit(rater, item.name, nonce, {"fluency": said}, 2.0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    folder = tmp_path / "world"
    folder.mkdir()
    return World(folder)


def verdicts(record: RunRecord) -> list[str]:
    return [str(verdict.verdict) for verdict in record.step("opinion").gates]


def test_a_model_of_the_plan_judges_and_no_gate_rests_on_it(world: World, tmp_path: Path) -> None:
    made = plan(world, {"model": "lm"}, panel=False)
    record = gradus.run(made, runs_dir=tmp_path)
    assert record.state is State.DONE
    step = record.step("opinion")
    assert {m.checkpoint for m in step.measurements} == {"lm", "human"}
    for m in step.measurements:
        assert m.metric == "judge_fluency"
        assert m.value is not None
        assert 1 <= m.value <= 5
        assert m.n == 12
    assert verdicts(record) == ["undecided"] * 2
    assert all("the step has no 'trust'" in verdict.why for verdict in step.gates)
    assert not any(verdict.claim for verdict in step.gates)


def test_on_undecided_stop_ends_the_run(world: World, tmp_path: Path) -> None:
    made = plan(world, {"model": "lm", "on_undecided": "stop"}, panel=False)
    assert gradus.run(made, runs_dir=tmp_path).state is State.CLOSED


@pytest.mark.parametrize("agree", [True, False])
def test_gates_rest_on_a_judge_that_people_agree_with(
    world: World, server: Server, tmp_path: Path, agree: bool
) -> None:
    judge = {
        "model": {"url": server.url, "model": "good"},
        "trust": {"panel": "people", "agreement": 0.6},
    }
    made = plan(world, judge, panel=True)
    first = gradus.run(made, runs_dir=tmp_path)
    assert first.state is State.WAITING
    assert first.step("opinion").state is State.PENDING, "it waits for the panel"
    assert not server.asked("good")
    rate(Path(first.run), lambda text: points(text) if agree else 6 - points(text))
    record = gradus.run(made, runs_dir=tmp_path)
    assert record.state is State.DONE
    assert verdicts(record) == ["open" if agree else "undecided"] * 2
    told = record.step("opinion").facts["trust"]["judge_fluency"]
    assert told["met"] is agree
    assert "judge_fluency" in (Path(record.run) / "report.html").read_text(encoding="utf-8")
    asked = len(server.asked("good"))
    made["steps"][-1]["trust"] = {"panel": "people", "agreement": 0.5}
    again = gradus.run(made, runs_dir=tmp_path)
    assert again.step("opinion").state is State.DONE
    assert len(server.asked("good")) == asked, "another bound asks nothing again"


def test_the_panel_stands_before_the_judge(world: World, tmp_path: Path) -> None:
    made = plan(world, {"model": "lm", "trust": {"panel": "people", "agreement": 0.6}}, panel=True)
    made["steps"][1:] = made["steps"][:0:-1]
    with pytest.raises(PlanError, match=r"steps\.opinion\.trust\.panel.*defined later"):
        gradus.run(made, runs_dir=tmp_path)
