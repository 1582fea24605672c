"""Slices and scores end to end on a baseline: measured, gated, reported, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import gradus
from gradus.errors import UsageError
from gradus.metrics import get
from gradus.metrics.items import read_items
from gradus.records import RunRecord

from .tiny_run import SCORES, plan, world_in

FLOOR: dict[str, Any] = {"id": "floor", "step": "baseline", "data": "news"}
SLICES = {"slices": ["length", "label", "language"], "slice_least": 8}
GATES = [
    "worth >= 0.3",
    "surely money >= -4",
    "worth > floor.majority",
    "accuracy{language=Latin} >= 0.1",
    "accuracy{label=sport} > floor.majority",
    "f1_macro{length=1-9} >= 0.1",
]


@pytest.fixture
def world(tmp_path: Path) -> Path:
    folder = tmp_path / "world"
    folder.mkdir()
    return world_in(folder)


def run(world: Path, *steps: dict[str, Any], **top: Any) -> RunRecord:
    return gradus.run(plan(world, *steps, **top), runs_dir=world / "runs")


def test_they_are_measured_gated_and_reported(world: Path) -> None:
    record = run(world, {**FLOOR, "gates": GATES}, scores=SCORES, measure=SLICES)
    step = record.step("floor")
    assert [str(v.verdict) for v in step.gates] == ["open"] * len(GATES)
    own = {m.metric: m for m in step.measurements if m.checkpoint == "floor"}
    items, texts = read_items(Path(record.run) / str(own["worth"].items))
    assert own["worth"].value == pytest.approx(
        0.7 * get("f1_macro")(items) + 0.3 * get("recall[sport]", items.labels)(items)
    )
    assert own["worth"].contract["score"] == "0.7 * f1_macro + 0.3 * recall[sport]"
    assert own["money"].unit == "EUR"
    assert own["money"].ci_low is not None
    sport = items.gold == items.labels.index("sport")  # type: ignore[attr-defined]  # predictions
    assert own["accuracy{label=sport}"].n == sport.sum()
    assert own["accuracy{language=Latin}"].value == own["accuracy"].value
    lengths = {m.metric: m.n for m in own.values() if m.metric.startswith("accuracy{length=")}
    assert sum(lengths.values()) <= len(texts)
    assert "f1_macro{length=1-9}" in own

    rows = [row for row in step.facts["slices"] if row["checkpoint"] == "floor.majority"]
    worse = {row["slice"] for row in rows if row["worse"]}
    # The majority class is wrong on every item of the other two labels.
    assert worse == set(items.labels) - {
        row["slice"] for row in rows if row["by"] == "label" and row["value"] == 1
    }
    told = (Path(record.run) / "report.md").read_text(encoding="utf-8")
    assert "## Slices: floor.majority on news.dev.gate" in told
    assert "after Holm's correction" in told
    known = json.loads((Path(record.run) / "report.json").read_text(encoding="utf-8"))
    assert known["steps"][0]["slices"] == step.facts["slices"]
    assert '<section id="slices">' in (Path(record.run) / "report.html").read_text(encoding="utf-8")


def test_another_score_measures_again_and_trains_nothing(world: Path) -> None:
    first = run(world, FLOOR)
    second = run(world, FLOOR, scores=SCORES, measure=SLICES)
    assert str(second.step("floor").state) == "reused"
    names = {m.metric for m in second.step("floor").measurements}
    assert {"worth", "money", "accuracy{language=Latin}"} <= names
    assert not {"worth", "money"} & {m.metric for m in first.step("floor").measurements}
    # The items themselves are the same file: nothing was predicted a second time.
    assert {m.items for m in first.step("floor").measurements if m.items} == {
        m.items for m in second.step("floor").measurements if m.items
    }


@pytest.mark.parametrize(
    ("top", "message"),
    [
        ({"scores": {"x": {"combine": "recall[sprot]"}}}, "scores.x: unknown label 'sprot': did"),
        ({"scores": {"x": {"prices": {"tec": {"sport": 1}}}}}, "did you mean 'tech'"),
        ({"scores": {"x": {"combine": "spearman"}}}, "no data set of the plan is measured by"),
        ({"measure": {"slices": ["column:product"]}}, "unknown column 'product'"),
    ],
)
def test_what_the_data_do_not_have_is_refused_before_anything_is_done(
    world: Path, top: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        run(world, FLOOR, **top)
    assert message in str(caught.value)
    assert not list((world / "runs").rglob("outcome.json"))


def test_columns_that_the_data_keep(world: Path) -> None:
    rows = [json.loads(line) for line in (world / "news.jsonl").read_text().splitlines()]
    for i, row in enumerate(rows):
        row["desk"] = "night" if i % 3 else "day"
    (world / "news.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    made = plan(world, {**FLOOR, "gates": ["accuracy{desk=night} >= 0.1"]})
    made["data"]["news"]["columns"] = {"keep": ["desk"]}
    made["measure"]["slices"] = ["column:desk"]
    made["measure"]["slice_least"] = 5
    record = gradus.run(made, runs_dir=world / "runs")
    [verdict] = record.step("floor").gates
    assert str(verdict.verdict) == "open"
    names = {m.metric for m in record.step("floor").measurements}
    assert {"accuracy{desk=day}", "accuracy{desk=night}"} <= names


def test_scores_in_python() -> None:
    money = gradus.score("money", prices={"b": {"a": -5}}, unit="EUR")
    seen = gradus.metric(money, gold=["a", "b"] * 20, predicted=["a", "b"] * 19 + ["b", "a"])
    assert (seen.metric, seen.unit) == ("money", "EUR")
    assert seen.value == pytest.approx((38 + 0 - 5) / 40)
    assert seen.ci_low is not None
    assert seen.ci_low < seen.value
    with pytest.raises(UsageError, match="give either combine or prices"):
        gradus.score("nothing")
