"""`gradus run`: exit codes, standard output kept for results, a report in the end."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from run_plans import FLOOR, write_plan

from gradus.cli import main as cli
from gradus.cli.view import exit_code
from gradus.errors import Interrupted, TrainingError
from gradus.records import RunRecord, State
from gradus.steps.baseline import Baseline


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)
    yield tmp_path  # type: ignore[misc]  # a fixture that cleans up
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (State.DONE, 0),
        (State.PENDING, 0),
        (State.FAILED, 1),
        (State.CLOSED, 3),
        (State.WAITING, 4),
        (State.INTERRUPTED, 130),
    ],
)
def test_exit_codes(state: State, code: int) -> None:
    assert exit_code(RunRecord(run="r", plan="p", state=state)) == code


def test_a_table_and_where_the_report_is(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(write_plan(here))]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1] == f"report: {here / 'runs/mini/report.html'}"
    assert shown.out.startswith("step   state")
    assert "[1/1] floor (baseline)" in shown.err
    assert cli.main(["run", str(write_plan(here)), "--quiet", "--json"]) == 0
    quiet = capsys.readouterr()
    assert quiet.err == ""
    assert json.loads(quiet.out)["state"] == "done"


@pytest.mark.parametrize("place", ["taken", "taken/below"])
def test_a_file_in_the_way_of_the_runs(
    here: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    (here / "taken").write_text("mine", encoding="utf-8")
    assert cli.main(["run", str(write_plan(here)), "--runs-dir", place]) == 1
    assert "a file is in its way" in capsys.readouterr().err
    assert (here / "taken").read_text(encoding="utf-8") == "mine"


def test_a_closed_gate(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = write_plan(here, {**FLOOR, "gates": ["accuracy <= 0.1"]})
    assert cli.main(["run", str(plan), "--runs-dir", "elsewhere"]) == 3
    assert "✗ closed: accuracy <= 0.1" in capsys.readouterr().err
    assert (here / "elsewhere/mini/report.html").is_file()


def test_a_failed_step_leaves_record_and_report(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none_left = {**FLOOR, "min_df": 100_000}
    plan = write_plan(here, FLOOR, {**none_left, "id": "empty"}, {**FLOOR, "id": "after"})
    assert cli.main(["run", str(plan), "--json"]) == 1
    shown = capsys.readouterr()
    printed = json.loads(shown.out)
    assert [step["state"] for step in printed["steps"]] == ["done", "failed", "pending"]
    assert "lower min_df" in printed["steps"][1]["error"]
    assert shown.err.splitlines()[-1].startswith("error: empty: no term is left")
    page = (here / "runs/mini/report.html").read_text(encoding="utf-8")
    assert "lower min_df" in page


def test_the_first_error_is_the_one_that_is_told(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that can't be written, as its place is taken, hides no error of the step."""
    plan = write_plan(here)
    (here / "runs/mini/report.json").mkdir(parents=True)

    def fail(self: Baseline, config: object, context: object) -> None:
        raise TrainingError("the step's own error")

    monkeypatch.setattr(Baseline, "run", fail)
    assert cli.main(["run", str(plan)]) == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1] == "error: the step's own error"
    assert "the report could not be written" in said


def test_interrupted(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: Baseline, config: object, context: object) -> None:
        raise Interrupted("SIGTERM")

    plan = write_plan(here)
    with monkeypatch.context() as patch:
        patch.setattr(Baseline, "run", interrupt)
        assert cli.main(["run", str(plan), "--json"]) == 130
    shown = capsys.readouterr()
    assert json.loads(shown.out)["state"] == "interrupted"
    assert (here / "runs/mini/report.html").is_file()
    assert cli.main(["run", str(plan), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"][0]["state"] == "done"
