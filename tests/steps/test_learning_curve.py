"""A learning curve over real trainings: nested draws, reuse, and what the report says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradus.data.dataset import Split
from gradus.errors import PlanError
from gradus.metrics import get
from gradus.metrics.base import Predictions
from gradus.plan import plan_from_dict
from gradus.records import RunRecord
from gradus.report import facts
from gradus.report.html import html
from gradus.report.markdown import markdown
from gradus.runner.run import run
from gradus.stats.learning import curve
from gradus.steps.learning_curve import _at, _facts, answer, prefix
from gradus.testing.world import default_rows

STEP: dict[str, Any] = {
    "id": "more",
    "step": "learning-curve",
    "data": "news",
    "training": {"step": "baseline"},
    "shares": [0.02, 0.1, 0.2, 0.4, 0.7],
    "draws": 2,
    "bootstrap": 200,
}


def plan(folder: Path, **changed: Any) -> dict[str, Any]:
    rows = folder / "news.jsonl"
    rows.write_text(
        "".join(json.dumps({"text": t, "label": c}) + "\n" for t, c in default_rows()), "utf-8"
    )
    return {
        "name": "mini",
        "seed": 1,
        "data": {
            "news": {
                "source": {"file": str(rows)},
                "split": {"train": 0.4, "dev": 0.5, "test": 0.1},
                "audit": False,
            }
        },
        "measure": {"cost": False, "bootstrap": 100},
        "steps": [{**STEP, **changed}],
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    folder = tmp_path_factory.mktemp("learning")
    with pytest.MonkeyPatch.context() as patch:
        # A fixture of a module comes before `own_state`, which is a test's own.
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        return run(plan_from_dict(plan(folder)), runs_dir=folder / "runs")


def test_points_rise_to_the_whole_of_train(made: RunRecord) -> None:
    told = made.step("more").facts["learning"]
    sizes = [p["n"] for p in told["points"]]
    assert sizes == sorted(sizes)
    assert sizes[-1] == told["rows"]
    assert told["points"][-1]["share"] == 1.0
    for point in told["points"]:
        assert point["value"] == pytest.approx(np.mean(point["draws"]))
        assert point["ci_low"] <= point["value"] <= point["ci_high"]
    # Nothing is drawn by a baseline on all texts, so it is trained once.
    assert [len(p["draws"]) for p in told["points"]][-1] == 1
    assert made.checkpoint("more").is_dir()
    assert {m.metric for m in made.step("more").measurements} >= {"accuracy"}
    assert made.looks["news"]["dev.select"] == len(made.step("more").facts["inner"])


def test_the_checkpoint_is_that_of_the_training_alone(made: RunRecord, tmp_path: Path) -> None:
    alone = plan(tmp_path)
    alone["steps"] = [{"id": "alone", "step": "baseline", "data": "news"}]
    other = run(plan_from_dict(alone), runs_dir=tmp_path / "runs")

    def accuracy(record: RunRecord, step: str) -> float | None:
        return next(m.value for m in record.step(step).measurements if m.metric == "accuracy")

    assert accuracy(made, "more") == accuracy(other, "alone")


def test_more_draws_train_only_what_is_new(made: RunRecord) -> None:
    folder = Path(made.run).parents[1]
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("inner/*/outcome.json")}
    again = run(plan_from_dict(plan(folder, draws=3)), runs_dir=folder / "runs")
    assert all(p.stat().st_mtime_ns == at for p, at in before.items())
    assert len(list(folder.rglob("inner/*/outcome.json"))) > len(before)
    told = again.step("more").facts["learning"]
    assert len(told["points"][0]["draws"]) == 3


def test_the_report_answers_how_much_more(made: RunRecord) -> None:
    known = facts(Path(made.run))
    for page in (html(known), markdown(known)):
        assert "How much data" in page
        assert "wice the data" in page
    assert "<svg" in html(known).split('id="learning"')[1].split("</section>")[0]


def test_draws_are_nested_and_differ() -> None:
    ids = tuple(f"{i:04x}" for i in range(200))
    split = Split(ids=ids, texts=ids, labels=np.zeros(200, dtype=np.int64))
    for draw in (0, 1):
        small, large = prefix(split, 20, draw), prefix(split, 70, draw)
        assert set(small.ids) < set(large.ids)
        assert list(small.ids) == sorted(small.ids)
    assert set(prefix(split, 20, 0).ids) != set(prefix(split, 20, 1).ids)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"shares": [0.5, 0.1]}, "shares rise"),
        ({"metric": "accuracie"}, "did you mean 'accuracy'"),
        ({"training": {"step": "baseline", "data": "other"}}, "the training's data is 'other'"),
        ({"training": {"step": "baselin"}}, "did you mean 'baseline'"),
        ({"training": {"step": "evaluate", "models": ["x"], "on": "news"}}, "makes no model"),
        ({"seeds": 3}, "ask for more 'draws'"),
    ],
)
def test_bad_configs_are_faults(tmp_path: Path, changed: dict[str, Any], why: str) -> None:
    with pytest.raises(PlanError, match=why):
        plan_from_dict(plan(tmp_path, **changed))


def test_a_law_past_its_points_is_no_more_than_a_guess() -> None:
    """A straight line in the logarithm that stays below the law's end cannot bend as it does."""
    gold = np.zeros(4000, dtype=np.int64)
    ids = tuple(map(str, range(4000)))

    def said(rate: float) -> Predictions:
        wrong = (np.arange(4000) >= rate * 4000).astype(np.int64)
        return Predictions(gold=gold, predicted=wrong, log_probs=None, labels=("a",), ids=ids)

    sizes = [80, 160, 320, 640, 1280, 2560, 5120]
    steps = [0.50, 0.52, 0.50, 0.60, 0.72, 0.71, 0.80]
    bad = curve(get("accuracy"), sizes, [[said(r)] * 2 for r in steps], at=_at(80, 5120), draws=200)
    told = _facts(bad, 5120)
    assert "goes past what was seen at" in told["caution"]
    assert told["caution"] in answer({"metric": "accuracy", "rows": 5120, **told})
    rates = [0.9 - 3 * n**-0.5 for n in sizes]
    good = curve(
        get("accuracy"), sizes, [[said(r)] * 2 for r in rates], at=_at(80, 5120), draws=200
    )
    assert "caution" not in _facts(good, 5120)


def test_without_a_law_the_answer_says_why() -> None:
    assert answer({"metric": "accuracy", "no_law": "too few"}).endswith("from accuracy: too few")
