"""A step that waits for people: what goes on, what doesn't, and how the run continues."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gradus
from gradus import catalog, registry
from gradus.checkpoints import save_checkpoint
from gradus.cli import main as cli
from gradus.errors import DataChanged
from gradus.records import RunRecord, State, Waiting
from gradus.runner.store import RunFolder
from gradus.steps.base import (
    Asking,
    Needs,
    Step,
    StepConfig,
    StepContext,
    StepOutcome,
    Target,
)
from gradus.testing.world import default_rows

FLOOR = {"id": "floor", "step": "baseline", "data": "news", "ngrams": [1, 1]}
OTHER = {"id": "other", "step": "baseline", "data": "news", "ngrams": [1, 2]}
ASKED = {"id": "asked", "step": "ask", "model": "floor"}


class AskConfig(StepConfig):
    model: str
    people: int = 2


class Ask(Step):
    """People answer by lines of a file; what is made is the model as it was."""

    Config = AskConfig
    summary = "asks"
    example = ""
    done = 0

    @classmethod
    def needs(cls, config: AskConfig) -> Needs:
        return Needs(models={"model": config.model})

    @classmethod
    def produces(cls, config: AskConfig) -> frozenset[str]:
        return frozenset({"accuracy"})

    def answers(self, config: AskConfig, asking: Asking) -> str:
        lines = answered(asking.run, asking.id)
        enough = len(lines) >= config.people
        return hashlib.sha256("\n".join(lines).encode()).hexdigest() if enough else ""

    def run(self, config: AskConfig, context: StepContext) -> StepOutcome:
        lines = answered(context.run, context.id)
        if len(lines) < config.people:
            why = f"{len(lines)} of {config.people} have answered"
            return StepOutcome(
                waiting=Waiting(
                    why=why,
                    have=len(lines),
                    wanted=config.people,
                    command="ask",
                    link="http://here/",
                )
            )
        Ask.done += 1
        parent = context.models[config.model]

        def write(partial: Path) -> None:
            for path in Path(parent.path).iterdir():
                if path.name != "gradus.json":
                    shutil.copy(path, partial / path.name)
            (partial / "said.json").write_text(json.dumps(lines), encoding="utf-8")

        manifest = json.loads((Path(parent.path) / "gradus.json").read_text(encoding="utf-8"))
        save_checkpoint(
            context.out / "checkpoint",
            kind=parent.kind,
            labels=parent.labels,
            preprocessing=manifest["preprocessing"],
            parents=(parent,),
            facts={},
            write=write,
        )
        return StepOutcome(
            checkpoint=context.out / "checkpoint",
            measure=[Target(checkpoint=context.id, data="news")],
        )


def answered(run: Path, step: str) -> list[str]:
    path = run / "answers" / step
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def answer(run: Path, *lines: str, step: str = "asked") -> None:
    path = run / "answers" / step
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture(autouse=True)
def _ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known = {**catalog.CATALOG["steps"], "ask.v1": f"{__name__}:Ask"}
    monkeypatch.setitem(catalog.CATALOG, "steps", known)
    monkeypatch.setattr(Ask, "done", 0)
    registry.entries.cache_clear()
    yield
    registry.entries.cache_clear()


def plan(folder: Path, *steps: dict[str, Any], rows: int = 180) -> dict[str, Any]:
    lines = (json.dumps({"text": t, "label": c}) for t, c in default_rows()[:rows])
    (folder / "news.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return {
        "name": "mini",
        "seed": 1,
        "data": {
            "news": {
                "source": {"file": str(folder / "news.jsonl")},
                "split": {"dev": 0.3, "test": 0.2},
                "audit": False,
            }
        },
        "measure": {"cost": False, "bootstrap": 100},
        "steps": list(steps),
    }


def states(record: RunRecord) -> dict[str, str]:
    return {step.id: str(step.state) for step in record.steps}


def test_what_does_not_depend_on_it_goes_on(tmp_path: Path) -> None:
    behind = {"id": "behind", "step": "evaluate", "models": ["asked"], "on": "news"}
    compared = {**OTHER, "id": "compared", "gates": ["accuracy >= asked - 0.9"]}
    steps = plan(tmp_path, FLOOR, ASKED, behind, compared, OTHER)
    record = gradus.run(steps, runs_dir=tmp_path)
    assert record.state is State.WAITING
    assert states(record) == {
        "floor": "done",
        "asked": "waiting",
        "behind": "pending",
        "compared": "pending",
        "other": "done",
    }
    waiting = record.step("asked").waiting
    assert waiting is not None
    assert (waiting.have, waiting.wanted, waiting.link) == (0, 2, "http://here/")
    assert record.step("other").measurements


def test_the_same_plan_goes_on_once_enough_have_answered(tmp_path: Path) -> None:
    behind = {"id": "behind", "step": "evaluate", "models": ["asked"], "on": "news.test"}
    steps = plan(tmp_path, FLOOR, ASKED, {**behind, "cost": False})
    run = Path(gradus.run(steps, runs_dir=tmp_path).run)
    answer(run, "yes")
    assert gradus.run(steps, runs_dir=tmp_path).state is State.WAITING
    answer(run, "yes", "no")
    record = gradus.run(steps, runs_dir=tmp_path)
    assert states(record) == {"floor": "reused", "asked": "done", "behind": "done"}
    assert record.step("asked").waiting is None
    said = json.loads((record.checkpoint("asked") / "said.json").read_text(encoding="utf-8"))
    assert said == ["yes", "no"]
    again = gradus.run(steps, runs_dir=tmp_path)
    assert states(again) == {"floor": "reused", "asked": "reused", "behind": "reused"}
    answer(run, "yes", "no", "perhaps")
    later = gradus.run(steps, runs_dir=tmp_path)
    assert states(later) == {"floor": "reused", "asked": "done", "behind": "done"}
    assert later.step("asked").fingerprint != record.step("asked").fingerprint
    assert Ask.done == 2


def test_a_step_that_waits_leaves_no_outcome_and_one_folder(tmp_path: Path) -> None:
    steps = plan(tmp_path, FLOOR, ASKED)
    run = Path(gradus.run(steps, runs_dir=tmp_path).run)
    answer(run, "yes")
    gradus.run(steps, runs_dir=tmp_path)
    (folder,) = (run / "steps" / "asked").iterdir()
    assert list(folder.iterdir()) == []


def test_later_tests_claim_nothing_as_long_as_an_earlier_one_is_not_taken(tmp_path: Path) -> None:
    asked = {**ASKED, "gates": ["accuracy >= floor - 0.5"]}
    tested = {**OTHER, "gates": ["accuracy >= 0.01", "accuracy >= floor.majority - 0.9"]}
    steps = plan(tmp_path, FLOOR, asked, tested)
    record = gradus.run(steps, runs_dir=tmp_path)
    point, test = record.step("other").gates
    assert point.claim
    assert "without a claim" not in point.why
    assert not test.claim
    assert test.why.endswith("(reported without a claim as long as an earlier test isn't taken)")
    answer(Path(record.run), "yes", "no")
    record = gradus.run(steps, runs_dir=tmp_path)
    assert record.state is State.DONE
    assert all(verdict.claim for verdict in record.step("other").gates)


def test_a_closed_gate_ends_a_run_that_waits(tmp_path: Path) -> None:
    closed = {**OTHER, "gates": ["accuracy <= 0.01"]}
    steps = plan(tmp_path, FLOOR, ASKED, closed, {**OTHER, "id": "after"})
    record = gradus.run(steps, runs_dir=tmp_path)
    assert record.state is State.CLOSED
    assert states(record) == {
        "floor": "done",
        "asked": "waiting",
        "other": "closed",
        "after": "skipped",
    }


def test_a_run_that_waits_goes_on_with_its_data_alone(tmp_path: Path) -> None:
    gradus.run(plan(tmp_path, FLOOR, ASKED), runs_dir=tmp_path)
    with pytest.raises(DataChanged, match="news"):
        gradus.run(plan(tmp_path, FLOOR, ASKED, rows=150), runs_dir=tmp_path)


def test_the_command_ends_with_4_and_says_where_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mini.yaml").write_text(json.dumps(plan(tmp_path, FLOOR, ASKED)), encoding="utf-8")
    assert cli.main(["run", "mini.yaml"]) == 4
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert "asked waits: 0 of 2 have answered" in lines
    assert "  opens http://here/ and prints a link for each of them" in lines
    assert "run mini waiting" in shown.err
    assert cli.main(["run", "mini.yaml", "--json", "--quiet"]) == 4
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == "waiting"
    assert told["steps"][0]["waiting"] is None
    assert told["steps"][1]["waiting"]["link"] == "http://here/"
    assert cli.main(["show", "mini"]) == 0
    assert "  ask" in capsys.readouterr().out.splitlines()
    record = RunFolder(tmp_path / "runs" / "mini").load()
    assert record is not None
    assert RunRecord.from_json(json.loads(json.dumps(record.to_json()))) == record
    page = (tmp_path / "runs/mini/report.html").read_text(encoding="utf-8")
    assert "asked waits: 0 of 2 have answered" in page
    answer(tmp_path / "runs" / "mini", "yes", "no")
    assert cli.main(["run", "mini.yaml", "--quiet"]) == 0
