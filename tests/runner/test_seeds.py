"""Repeated steps end to end on a tiny encoder: gates, reuse, resuming, which seed goes on."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import gradus
from gradus.metrics import get
from gradus.metrics.items import read_items, read_seen
from gradus.metrics.repeated import Repeated
from gradus.records import RunRecord, StepRecord
from gradus.runner.monitor import Quiet
from gradus.runner.seeds import median
from gradus.testing.killing import essence, greatest_difference

from .tiny_run import plan, tuned, world_in

FINAL = {"id": "final", "step": "evaluate", "models": ["tuned"], "on": "news.test", "cost": False}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world_in(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A ledger of these tests' own: fixtures of a module come before those of its tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="module")
def three(state: None, world: Path, tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """Three seeds, a step on top of them, and all of it on test."""
    head = [{"train": "head", "epochs": 1, "lr": 1e-3}]
    more = {"id": "more", "step": "finetune", "model": "tuned", "data": "news", "stages": head}
    gates = ["accuracy >= parent - 0.9", "accuracy >= tuned - 0.9"]
    made = plan(
        world,
        {"id": "floor", "step": "baseline", "data": "news"},
        tuned(3, "surely accuracy >= 0.01", "accuracy > floor", "accuracy >= floor.majority - 0.9"),
        {**more, "gates": gates},
        FINAL,
    )
    made["steps"][1]["gates"][1] = "accuracy >= floor - 1.5"
    return gradus.run(made, runs_dir=tmp_path_factory.mktemp("runs"))


def of(record: StepRecord, metric: str, checkpoint: str) -> gradus.Measurement:
    return next(m for m in record.measurements if m.metric == metric and m.checkpoint == checkpoint)


def test_the_measurement_is_the_mean_over_the_seeds(three: RunRecord) -> None:
    step = three.step("tuned")
    measured = of(step, "accuracy", "tuned")
    assert measured.items is not None
    assert measured.ci_method == "two-level bootstrap"
    seen, texts = read_seen(Path(three.run) / measured.items)
    assert isinstance(seen, Repeated)
    assert (len(seen.runs), len(texts)) == (3, measured.n)
    values = [get("accuracy")(run) for run in seen.runs]
    assert measured.value == pytest.approx(sum(values) / 3)
    rows = {row["metric"]: row for row in step.facts["seeds"]["measured"]}
    assert rows["accuracy"]["values"] == pytest.approx(values)
    assert len(set(rows["log_loss"]["values"])) == 3, "every seed gives another checkpoint"
    assert measured.ci_low is not None
    assert measured.ci_high is not None
    assert measured.ci_low < measured.value < measured.ci_high


def test_later_steps_take_the_median_seed(three: RunRecord) -> None:
    step = three.step("tuned")
    known = step.facts["seeds"]
    assert sorted(known["select"])[1] == known["select"][known["chosen"] - 1]
    assert step.checkpoint == step.checkpoints[f"seed{known['chosen']}"]
    assert set(step.checkpoints) == {"seed1", "seed2", "seed3"}
    seen, _ = read_items(Path(three.run) / str(of(step, "accuracy", "tuned").items))
    mine = gradus.load(three.checkpoint("tuned")).predict(
        read_items(Path(three.run) / str(of(step, "accuracy", "tuned").items))[1]
    )
    assert [p.label for p in mine] == [seen.labels[i] for i in seen.predicted]  # type: ignore[attr-defined]  # predictions


def test_gates_use_both_levels(three: RunRecord) -> None:
    alone, floor, majority = three.step("tuned").gates
    assert alone.test == floor.test == majority.test == "two-level bootstrap"
    assert "and 3 seeds" in alone.why
    assert "3 against 1 seeds" in floor.why
    # What a step began with is one checkpoint, not what its maker gives on average.
    for verdict in three.step("more").gates:
        assert "seeds" not in verdict.why
        chosen = three.step("tuned").facts["seeds"]
        assert verdict.reference == pytest.approx(
            next(r for r in chosen["measured"] if r["metric"] == "accuracy")["values"][
                chosen["chosen"] - 1
            ]
        )


def test_test_is_read_with_every_seed_and_counted_once(three: RunRecord) -> None:
    measured = of(three.step("final"), "accuracy", "tuned")
    assert measured.ci_method == "two-level bootstrap"
    assert three.readings["news"] == 1


def test_the_report_shows_the_spread(three: RunRecord) -> None:
    told = (Path(three.run) / "report.md").read_text(encoding="utf-8")
    assert "## Seeds: tuned on news.dev.gate" in told
    assert "| seed 1 | seed 2 | seed 3 |" in told
    page = (Path(three.run) / "report.html").read_text(encoding="utf-8")
    assert '<section id="seeds">' in page
    known = json.loads((Path(three.run) / "report.json").read_text(encoding="utf-8"))
    step = next(s for s in known["steps"] if s["id"] == "tuned")
    rows = {row["metric"]: row for row in step["seeds"]["measured"]}
    assert rows["accuracy"]["sd"] >= 0


def test_more_seeds_keep_the_first_ones(world: Path, tmp_path: Path) -> None:
    one = gradus.run(plan(world, tuned(1)), runs_dir=tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("outcome.json")}
    two = gradus.run(plan(world, tuned(2)), runs_dir=tmp_path)
    assert len(before) == 1
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    assert two.step("tuned").checkpoints["seed1"] == one.step("tuned").checkpoint
    assert str(two.step("tuned").state) == "done"
    assert "1 of 2 seeds were done by an earlier run" in two.step("tuned").notes
    again = gradus.run(plan(world, tuned(2)), runs_dir=tmp_path)
    assert str(again.step("tuned").state) == "reused"
    assert again.step("tuned").measurements == two.step("tuned").measurements


class _Killed(Exception):
    """Stands for a process that ends in the third seed."""


class _Killer(Quiet):
    """Ends the run as soon as the third seed makes progress."""

    third = False

    def note(self, text: str) -> None:
        self.third = self.third or "seed 3 of 3" in text

    def progress(self, done: float, total: float, text: str) -> None:
        if self.third and done > 0:
            raise _Killed


def test_interrupted_in_the_third_seed_it_goes_on_there(
    world: Path, three: RunRecord, tmp_path: Path
) -> None:
    with pytest.raises(_Killed):
        gradus.run(plan(world, tuned(3)), runs_dir=tmp_path, reporter=_Killer())
    done = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("outcome.json")}
    assert len(done) == 2, "the first two seeds are done, the third isn't"
    resumed = gradus.run(plan(world, tuned(3)), runs_dir=tmp_path)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in done.items())
    whole, mine = essence(Path(three.run)), essence(Path(resumed.run))
    assert set(mine.digests) == {"tuned", "tuned.seed1", "tuned.seed2", "tuned.seed3"}
    assert mine.digests == {name: whole.digests[name] for name in mine.digests}
    own = {key: row for key, row in whole.values.items() if key[0] == "tuned"}
    assert greatest_difference(replace(whole, values=own), mine) == 0.0


def test_seeds_of_what_draws_nothing_are_a_fault(world: Path) -> None:
    floor = {"id": "floor", "step": "baseline", "data": "news", "seeds": 3}
    with pytest.raises(gradus.PlanError, match="draws nothing: every seed gives the same"):
        gradus.run(plan(world, floor))


def test_the_median_not_the_best() -> None:
    assert median([0.7, 0.9, 0.8], "accuracy") == 2
    assert median([0.7, 0.9, 0.8], "log_loss") == 2
    assert median([0.6, 0.9, 0.8, 0.7], "accuracy") == 3  # the worse of the two in the middle
    assert median([0.6, 0.9, 0.8, 0.7], "log_loss") == 2
    assert median([0.8, 0.8, 0.8], "accuracy") == 0
    assert median([None, 0.9, 0.8], "accuracy") == 2
    assert median([None, None], "") == 0
    assert not math.isnan(median([0.5], "accuracy"))
