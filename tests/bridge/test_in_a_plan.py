"""A plan that measures tasks of the harness: measurements, items, gates, report."""

from __future__ import annotations

from pathlib import Path

import pytest

import gradus
from gradus.metrics.items import read_items
from gradus.records import Answer

from .worlds import make_model

pytest.importorskip("lm_eval", reason="the extra lm-eval isn't installed")

PLAN = """
name: harness
seed: 5
models:
  one: {{folder: {one}}}
  two: {{folder: {two}}}
measure: {{bootstrap: 100}}
steps:
  - id: asked
    step: evaluate
    models: [one, two]
    benchmarks:
      - lm-eval:choice: {{include_path: {tasks}}}
      - lm-eval:pages: {{include_path: {tasks}, limit: 3}}
      - replies: {{benchmark: lm-eval:reply, path: {tasks}}}
    gates:
      - choice.accuracy >= 0.01
      - choice.accuracy >= one - 1
      - pages.bits_per_byte <= 1
      - replies.outcome[exact_match,whole] >= one - 1
      - replies.penalty[ter,whole] <= 1000
"""


def test_gates_and_reports_work_on_tasks(tasks: Path, tmp_path: Path) -> None:
    one = make_model(tmp_path / "one", family="llama", bos=True)
    two = make_model(tmp_path / "two", family="gpt2", bos=False)
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN.format(one=one, two=two, tasks=tasks))
    assert gradus.check(plan) == []
    record = gradus.run(plan, runs_dir=tmp_path / "runs")
    step = record.step("asked")
    found = {(m.data, m.metric, m.checkpoint): m for m in step.measurements}
    for model in ("one", "two"):
        assert found["choice", "accuracy", model].n == 14
        assert found["pages", "bits_per_byte", model].n == 3
        assert found["replies", "outcome[exact_match,whole]", model].direction == "higher"
        assert found["replies", "penalty[ter,first-letters]", model].direction == "lower"
    accuracy = found["choice", "accuracy", "one"]
    assert accuracy.benchmark == "lm-eval.v1"
    assert accuracy.contract["task"] == "choice 2.0"
    assert accuracy.ci_method == "modified Wilson"
    assert accuracy.items is not None
    items, texts = read_items(Path(record.run) / accuracy.items)
    assert len(items) == 14
    assert texts[0].startswith("The cat sat")
    verdicts = [verdict.verdict for verdict in step.gates]
    assert verdicts == [Answer.OPEN, Answer.OPEN, Answer.CLOSED, Answer.OPEN, Answer.OPEN]
    page = (Path(record.run) / "report.html").read_text()
    assert "outcome[exact_match,whole]" in page


def test_a_plan_tells_what_is_wrong_before_anything_runs(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "name: x\nmodels: {one: {folder: .}}\nsteps:\n"
        "  - {id: a, step: evaluate, models: [one], benchmarks: ["
        "'lm-eval:', {lm-eval:b: {shots: 2}}], gates: [b.f1_macro > 0.1]}\n"
    )
    faults = "\n".join(map(str, gradus.check(plan)))
    assert "says no task after the colon" in faults
    assert "shots" in faults
