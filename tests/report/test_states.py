"""Every state of a run and of a step is told as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gradus.records import Answer, RunRecord, State, StepRecord, Verdict
from gradus.report import facts, write_report

from .pages import Page, broken_after, read, unmarked
from .runs import stopped_run

STOPPED: dict[State, tuple[dict[str, Any], list[str]]] = {
    State.FAILED: (
        {"error": "the loss is NaN at step 12\ntry a lower lr", "measurements": [], "gates": []},
        ["The run failed", "tuned failed: the loss is NaN at step 12.", "try a lower lr"],
    ),
    State.CLOSED: (
        {
            "gates": [
                Verdict(gate="accuracy >= 0.999", verdict=Answer.CLOSED, why="too low").to_json()
            ]
        },
        ["ended at a closed gate", "tuned is closed by “accuracy >= 0.999”.", "too low"],
    ),
    State.WAITING: (
        {"measurements": [], "gates": []},
        ["waits for people", "running the plan again continues it", "tuned is waiting."],
    ),
    State.INTERRUPTED: (
        {"measurements": [], "gates": []},
        ["was interrupted", "running the plan again continues it", "tuned is interrupted."],
    ),
    State.RUNNING: (
        {"measurements": [], "gates": []},
        ["is going on", "tuned is running."],
    ),
}


@pytest.mark.parametrize("state", list(STOPPED))
def test_a_stopped_run_is_told_truthfully(tmp_path: Path, state: State) -> None:
    changed, sentences = STOPPED[state]

    def edit(steps: list[StepRecord]) -> None:
        steps[:] = broken_after(steps, 2, state, **changed)

    folder = stopped_run(tmp_path, state, edit)
    write_report(folder)
    page, text = Page(read(folder, "html")), unmarked(read(folder, "md"))
    assert page.open == []
    for sentence in [*sentences, "2 of 5 steps done", "Skipped behind that: small, final."]:
        assert sentence in page.text, sentence
        assert sentence in text, sentence
    assert "floor is the best checkpoint" in page.text or state is State.CLOSED
    assert "test was not read for it" in page.text


@pytest.mark.parametrize("state", [State.PENDING, State.DONE, State.INTERRUPTED, State.FAILED])
def test_a_run_without_steps_is_told(tmp_path: Path, state: State) -> None:
    record = RunRecord(run="r", plan="p", state=state)
    (tmp_path / "run.json").write_text(json.dumps(record.to_json()))
    write_report(tmp_path)
    assert f"The run of p is {state}; no step is recorded." in read(tmp_path, "html")
    assert "plan.resolved.yaml is not in the run folder" in read(tmp_path, "md")


def test_a_reused_step_counts_as_done(tmp_path: Path) -> None:
    def edit(steps: list[StepRecord]) -> None:
        steps[0] = StepRecord.from_json({**steps[0].to_json(), "state": "reused"})

    told = facts(stopped_run(tmp_path, State.DONE, edit))
    assert "5 of 5 steps done" in told["headline"]["state"]


def test_a_run_that_did_not_end_well_says_so_first(tmp_path: Path) -> None:
    def edit(steps: list[StepRecord]) -> None:
        steps[:] = broken_after(steps, 2, State.FAILED, measurements=[], gates=[], error="x" * 999)

    folder = stopped_run(tmp_path, State.FAILED, edit)
    write_report(folder)
    raw = read(folder, "html")
    title = raw.partition("<h1>")[2].partition("</h1>")[0]
    assert title.startswith("The run failed")
    assert len(title) < 400
    assert "x" * 999 in raw
