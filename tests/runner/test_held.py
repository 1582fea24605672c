"""A plan with a reusable hold-out is shown answers of it, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gradus import looks
from gradus.cli.main import main
from gradus.errors import EXIT_USAGE, PlanError, UsageError
from gradus.holdout import question
from gradus.plan import plan_from_dict
from gradus.records import RunRecord
from gradus.report import facts
from gradus.report.markdown import markdown
from gradus.runner.monitor import Quiet
from gradus.runner.run import run
from gradus.stats.thresholdout import Settings
from gradus.testing.world import default_rows


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def plan(folder: Path, *steps: dict[str, Any], **holdout: Any) -> dict[str, Any]:
    rows = folder / "news.jsonl"
    rows.write_text(
        "".join(json.dumps({"text": t, "label": c}) + "\n" for t, c in default_rows()), "utf-8"
    )
    split = {"train": 0.3, "dev": 0.6, "test": 0.1}
    return {
        "name": "mini",
        "data": {"news": {"source": {"file": str(rows)}, "split": split, "audit": False}},
        "measure": {
            "cost": False,
            "bootstrap": 100,
            "reusable_holdout": {"threshold": 0.3, "sigma": 0.001, "budget": 2, **holdout},
        },
        "steps": list(steps),
    }


def floor(*gates: str, **more: Any) -> dict[str, Any]:
    return {"id": "floor", "step": "baseline", "data": "news", "gates": list(gates), **more}


def gate_values(made: RunRecord, step: str) -> dict[str, float | None]:
    there = made.step(step).measurements
    return {m.metric: m.value for m in there if m.split == "dev.gate" and m.checkpoint == step}


def test_only_answers_are_shown(tmp_path: Path) -> None:
    step = floor("accuracy >= 0.1", "surely accuracy >= 0.99", on_undecided="warn")
    made = run(plan_from_dict(plan(tmp_path, step)), runs_dir=tmp_path / "runs")
    assert set(gate_values(made, "floor")) == {"accuracy"}
    (answer,) = [
        m
        for m in made.step("floor").measurements
        if (m.split, m.checkpoint) == ("dev.gate", "floor")
    ]
    assert (answer.ci_method, answer.items) == ("thresholdout", None)
    select = {
        m.metric: m
        for m in made.step("floor").measurements
        if (m.split, m.checkpoint) == ("dev.select", "floor")
    }
    # The halves differ by less than the threshold, so dev.select answers.
    assert answer.value == select["accuracy"].value
    first, second = made.step("floor").gates
    assert str(first.verdict) == "open"
    assert "reusable hold-out answers" in first.why
    assert str(second.verdict) == "undecided"
    # The majority beside it is measured there too, and no gate asks about it.
    assert made.step("floor").facts["holdout"]["news"] == {"asked": 1, "spent": 0, "budget": 2}
    assert "optimism" not in made.step("floor").facts or not made.step("floor").facts["optimism"]
    page = markdown(facts(Path(made.run)))
    assert "0 of 2 answers of its own are spent, after 1 question" in page
    again = run(plan_from_dict(plan(tmp_path, step)), runs_dir=tmp_path / "runs")
    assert gate_values(again, "floor") == gate_values(made, "floor")


def test_the_budget_runs_out_and_the_gate_closes(tmp_path: Path) -> None:
    one = floor("accuracy >= 0.01", ngrams=[1, 1], id="one")
    two = floor("accuracy > one - 0.99", ngrams=[1, 3], id="two")
    first = run(plan_from_dict(plan(tmp_path, one, two)), runs_dir=tmp_path / "runs")
    verdict = first.step("two").gates[0]
    assert "by the reusable hold-out's bound" in verdict.why
    assert verdict.ci_low is not None
    digest = next(e.digest for e in looks.everything() if e.split == "dev.gate")
    for name in "xy":  # somebody asks what the halves disagree on
        question(digest, Settings(0.3, 0.001, 2), name, select=0.0, gate=1.0, n=10)
    three = floor("accuracy >= 0.01", analyzer="char_wb", id="three")
    made = run(plan_from_dict(plan(tmp_path, one, two, three)), runs_dir=tmp_path / "runs")
    assert str(made.step("one").gates[0].verdict) == "open"  # answered before
    (verdict,) = made.step("three").gates
    assert str(made.state) == str(verdict.verdict) == "closed"
    assert "budget is used up" in verdict.why


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (floor("f1_macro >= 0.5"), "isn't a mean over all items"),
        (floor("accuracy >= 0.5", seeds=2), "draws nothing"),
    ],
)
def test_what_cant_be_answered_is_a_fault(tmp_path: Path, step: dict[str, Any], why: str) -> None:
    with pytest.raises(PlanError, match=why):
        plan_from_dict(plan(tmp_path, step))


def test_only_what_a_gate_asks_of_a_checkpoint_is_asked(tmp_path: Path) -> None:
    """A gate elsewhere, a step without gates, and a gate on another split cost nothing."""
    one = floor(id="one", ngrams=[1, 1])
    two = floor("accuracy > one - 0.99", id="two", ngrams=[1, 3])
    three = floor(id="three", analyzer="char_wb")
    select = {"step": "evaluate", "models": ["three"], "on": "news.dev.select", "cost": False}
    last = {"id": "last", **select, "gates": ["f1_macro >= 0"]}
    made = run(plan_from_dict(plan(tmp_path, one, two, three, last)), runs_dir=tmp_path / "runs")
    assert [set(gate_values(made, name)) for name in ("one", "two", "three")] == [
        {"accuracy"},
        {"accuracy"},
        set(),
    ]
    assert made.step("two").facts["holdout"]["news"]["asked"] == 2
    assert str(made.step("last").gates[0].verdict) == "open"


def test_a_hold_out_that_was_asked_is_looked_at_no_other_way(tmp_path: Path) -> None:
    held = plan(tmp_path, floor("accuracy >= 0.1"))
    run(plan_from_dict(held), runs_dir=tmp_path / "runs")
    bare = {**held, "measure": {"cost": False, "bootstrap": 100}}
    with pytest.raises(UsageError, match=r"news.dev.gate has answered 1 question as a reusable"):
        run(plan_from_dict(bare), runs_dir=tmp_path / "others")
    (tmp_path / "mini.yaml").write_text(yaml.safe_dump(bare), encoding="utf-8")
    weights = next((tmp_path / "runs").glob("mini/steps/floor/*/checkpoint"))
    compare = ["compare", str(weights), f"same={weights}", "--on"]
    on = f"{tmp_path / 'mini.yaml'}:news"
    assert main([*compare, on]) == EXIT_USAGE
    before = [e for e in looks.everything() if e.split == "dev.select"]
    assert main([*compare, f"{on}.dev.select"]) == 0
    after = [e for e in looks.everything() if e.split == "dev.select"]
    assert len(after) == len(before) + 1, "compare counts what it looks at"


def test_looks_before_the_hold_out_are_told(tmp_path: Path) -> None:
    held = plan(tmp_path, floor("accuracy >= 0.1"))
    bare = {**held, "measure": {"cost": False, "bootstrap": 100}}
    run(plan_from_dict(bare), runs_dir=tmp_path / "runs")
    told: list[str] = []

    class Listening(Quiet):
        def note(self, text: str) -> None:
            told.append(text)

    run(plan_from_dict(held), runs_dir=tmp_path / "others", reporter=Listening())
    assert any("has been looked at before without the reusable hold-out" in one for one in told)
