from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gradus import registry
from gradus.cli.main import main
from gradus.gates.grammar import parse
from gradus.plan import check_plan, dump, load_plan, plan_from_dict

GOOD = """\
name: floor
data:
  news:
    source: {folder: corpora}
    format: folders
steps:
  - id: floor
    step: baseline
    data: news
"""
BAD = GOOD.replace("name:", "nam:").replace("data: news", "data: new")


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("plan.yaml")
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_a_good_plan(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "plan.yaml"]) == 0
    assert capsys.readouterr().out == "plan.yaml: 1 step, no faults\n"
    assert main(["check", "plan.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_faults_stand_on_standard_output_with_exit_code_2(
    plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.write_text(BAD, encoding="utf-8")
    assert main(["check", "plan.yaml"]) == 2
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines() == [
        "plan.yaml:1: nam: unknown key 'nam': did you mean 'name'?",
        "plan.yaml:1: name: 'name' is missing",
        "plan.yaml:9: steps.floor.data: unknown data set 'new': did you mean 'news'?",
        "plan.yaml: 3 faults",
    ]


def test_json_lists_path_line_message(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan.write_text(BAD, encoding="utf-8")
    assert main(["check", "plan.yaml", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found == [fault.to_json() for fault in check_plan(BAD)]
    assert found[-1] == {
        "path": "steps.floor.data",
        "line": 9,
        "message": "unknown data set 'new': did you mean 'news'?",
    }


def test_overrides(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "plan.yaml", "--set", "seed=3", "--set", "data.news.limit=many"]) == 2
    assert capsys.readouterr().out.splitlines() == [
        "plan.yaml: --set data.news.limit=many: should be a whole number, is the text 'many'",
        "plan.yaml: 1 fault",
    ]


def test_a_file_that_isnt_there(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "none.yaml", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == [
        {"path": "", "line": 0, "message": "can't be read: No such file or directory"}
    ]


def test_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--schema"]) == 0
    made = json.loads(capsys.readouterr().out)
    titles = [kind["title"] for kind in made["properties"]["steps"]["items"]["oneOf"]]
    assert "finetune.v1" in titles


@pytest.mark.parametrize("kind", registry.names("steps"))
def test_every_step_kinds_example_checks(kind: str) -> None:
    step = registry.load("steps", kind)
    raw = yaml.safe_load(step.example.replace(" on:", " 'on':").replace("\non:", "\n'on':"))
    raw = raw[0] if isinstance(raw, list) else raw
    own = ("id", "step", "gates", "on_undecided")
    needs = step.needs(step.Config(**{k: v for k, v in raw.items() if k not in own}))
    # Gates may compare with models too, whatever they are called.
    compared = {str(parse(gate).reference) for gate in raw.get("gates", ())} - {"None", "parent"}
    models = {name.partition(".")[0] for name in {*needs.models.values(), *compared}}
    models.discard(raw["id"])  # a step's gate may compare with the step's own further checkpoint
    data = {*needs.data.values(), *needs.either.values()} or {"news"}
    corpora = set(needs.corpora.values())
    before = [made_before(name, min(data)) for name in sorted(models)]
    plan = plan_from_dict(
        {
            "name": "example",
            "data": {name: {"source": {"folder": "corpora"}} for name in data},
            "corpora": {n: {"source": {"folder": "corpora"}} for n in {*corpora, "texts"}},
            "models": {"writer": {"folder": "weights"}},
            "steps": [*before, raw],
        }
    )
    assert plan.steps[-1].kind == kind
    assert load_plan(dump(plan)) == plan


def made_before(name: str, data: str) -> dict[str, Any]:
    """A step that an example's models may come from."""
    if name == "written":
        sample = {"step": "sample", "writers": ["writer"], "prompts": {"corpus": "texts"}}
        return {"id": name, **sample}
    return {"id": name, "step": "baseline", "data": data}


def test_every_plan_that_ships_checks(root: Path) -> None:
    for path in sorted((root / "plans").glob("*.yaml")):
        assert check_plan(path) == [], path


def test_no_plan_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 2
    assert "gradus check PLAN" in capsys.readouterr().err
