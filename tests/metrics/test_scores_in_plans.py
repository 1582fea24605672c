"""Scores and slices in plans of the real steps: what is resolved, every fault with its place."""

from __future__ import annotations

import pytest

from gradus.plan import check_plan, load_plan

HEAD = """\
name: mail
data:
  news: {source: {file: news.jsonl}}
steps:
  - id: floor
    step: baseline
    data: news
    gates: [%s]
"""


def plan(gate: str = "accuracy >= 0.1", more: str = "") -> str:
    return HEAD % f'"{gate}"' + more


SCORES = """\
scores:
  value: {combine: "0.7 * f1_macro + 0.3 * recall[urgent]"}
  cost: {prices: {urgent: {spam: -50}}, unit: EUR}
  both: {combine: "value + cost / 100"}
"""
SLICES = "measure: {slices: [length, language, 'column:product']}\n"


def test_a_resolved_plan_holds_every_default_and_reads_again() -> None:
    from gradus.plan import dump

    made = load_plan(plan("surely both >= 0.1", SCORES + SLICES))
    assert list(made.scores) == ["value", "cost", "both"]
    assert made.scores["cost"]["default_right"] == 1.0
    assert made.scores["cost"]["direction"] == "higher"
    assert load_plan(dump(made), folder=made.folder).scores == made.scores


@pytest.mark.parametrize(
    "gate",
    [
        "value >= 0.5",
        "surely cost >= -1",
        "both > floor.majority",
        "cost >= floor.majority - 0.1",
        "news.value >= 0.5",
        "accuracy{language=Han} >= 0.9",
        "value{length=1-9} >= 0.1",
        "recall[urgent]{product=a b} >= 0.1",
    ],
)
def test_gates_on_scores_and_slices(gate: str) -> None:
    assert check_plan(plan(gate, SCORES + SLICES)) == []


@pytest.mark.parametrize(
    ("more", "path", "line", "message"),
    [
        ("scores: [1]\n", "scores", 9, "should be a mapping, is a list"),
        ("scores:\n  x: {combine: acuracy}\n", "scores.x.combine", 10, "did you mean 'accuracy'"),
        ("scores:\n  x: {combine: 1 / 0}\n", "scores.x.combine", 10, "divides by a constant zero"),
        ("scores:\n  x: {combine: 1 +}\n", "scores.x.combine", 10, "something is missing"),
        ("scores:\n  x: {combine: size_mb}\n", "scores.x.combine", 10, "isn't taken on single"),
        ("scores:\n  x: {combine: 2 * y}\n  y: {combine: x}\n", "scores.x.combine", 10, "cyclic"),
        ("scores:\n  x: {combine: 2 * y}\n  y: {combine: x}\n", "scores.y.combine", 11, "cyclic"),
        ("scores:\n  mcc: {combine: accuracy}\n", "scores.mcc", 10, "choose another name"),
        ("scores:\n  my-x: {combine: accuracy}\n", "scores.my-x", 10, "a score's name is"),
        ("scores:\n  x: {}\n", "scores.x", 10, "either 'combine' or 'prices'"),
        ("scores:\n  x: {combin: accuracy}\n", "scores.x.combin", 10, "did you mean 'combine'"),
        ("scores:\n  x: {prices: {a: {b: much}}}\n", "scores.x.prices.a.b", 10, "a number"),
        (
            "scores:\n  x: {combine: accuracy, default_wrong: -1}\n",
            "scores.x",
            10,
            "goes with 'prices'",
        ),
        ("measure: {slices: [lenght]}\n", "measure.slices", 9, "did you mean 'length'"),
        ("measure: {slices: [label, label]}\n", "measure.slices", 9, "more than once"),
        ("measure: {slices: ['column:label']}\n", "measure.slices", 9, "is a slicing itself"),
    ],
)
def test_faults(more: str, path: str, line: int, message: str) -> None:
    found = [f for f in check_plan(plan(more=more)) if f.path == path]
    assert [fault.line for fault in found] == [line], check_plan(plan(more=more))
    assert message in found[0].message


def test_a_broken_score_causes_no_other_fault() -> None:
    broken = "scores:\n  x: {combine: acuracy}\n  y: {combine: x + mcc}\n"
    for gate in ("x >= 0.1", "y >= 0.1"):
        assert len(check_plan(plan(gate, broken))) == 1


@pytest.mark.parametrize(
    ("gate", "more", "message"),
    [
        ("valu >= 0.5", SCORES, "did you mean 'value'"),
        ("value[urgent] >= 0.5", SCORES, "leave out [urgent]"),
        ("accuracy{language=Han} >= 0.9", "", "the plan has no measure.slices"),
        ("accuracy{langage=Han} >= 0.9", SLICES, "did you mean 'language'"),
        ("size_mb{language=Han} >= 0.9", SLICES, "isn't taken on slices"),
        ("accuracy{language} >= 0.9", SLICES, "is not a metric"),
        ("accuracy{language=Han}>= 0.9", SLICES, "write spaces around >="),
    ],
)
def test_faults_of_gates(gate: str, more: str, message: str) -> None:
    found = check_plan(plan(gate, more))
    assert len(found) == 1
    assert found[0].path == "steps.floor.gates[0]"
    assert message in found[0].message


def test_a_score_that_rests_on_metrics_of_other_data() -> None:
    [found] = check_plan(plan("x >= 0.5", "scores:\n  x: {combine: spearman}\n"))
    assert found.path == "steps.floor.gates[0]"
    assert "unknown metric 'spearman'" in found.message
    assert "the data's target is 'label'" in found.message
