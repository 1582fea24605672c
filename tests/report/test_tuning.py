"""The section of a search: what is drawn, what is said, and that nothing is invented."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gradus.report.tuning import searches


def facts(**more: Any) -> dict[str, Any]:
    trials = [
        (0, "done", [[1, 0.5]], [0.7], None),
        (1, "resting", [[1, 0.4]], [], None),
        (2, "failed", [], [], "the loss is nan & <gone>"),
        (3, "done", [[1, 0.6]], [0.8], None),
    ]
    params = [(1e-3, "a"), (1e-4, "b"), (1e-1, "a"), (3e-3, "b")]
    found = {
        "of": "finetune.v1",
        "sampler": "tpe",
        "pruner": "halving",
        "eta": 3,
        "rungs": [1],
        "objectives": [{"metric": "accuracy", "direction": "higher"}],
        "spaces": [
            {"name": "lr", "kind": "log", "log": True, "low": 1e-5, "high": 1e-1},
            {"name": "mode", "kind": "choice", "log": False, "choices": ["a", "b"]},
        ],
        "trials": [
            {
                "number": n,
                "name": f"trial-{n:04d}",
                "params": {"lr": params[n][0], "mode": params[n][1]},
                "state": state,
                "rungs": rungs,
                "values": values,
                "tokens": 100 * n,
                "bracket": 0,
                "error": error,
            }
            for n, state, rungs, values, error in trials
        ],
        "best": 3,
        "front": [],
        "importance": [{"lr": 0.75, "mode": 0.25}],
        "range_test": {"rates": [1e-4, 1e-3, 1e-2], "losses": [2, 1, 3], "low": 1e-4, "high": 1e-3},
        "used": {"trials": 4, "tokens": 600},
        "ended": "all of 4 trials",
    }
    return {"steps": [{"id": "tuned", "facts": {"tuning": {**found, **more}}}]}


def test_it_says_how_it_went_and_that_the_winner_is_optimistic() -> None:
    (shown,) = searches(facts())
    assert shown.said[0] == (
        "4 trials of finetune by tpe with halving: 2 went through all stages, 1 rest where others "
        "were better, 1 failed. The search ended with all of 4 trials."
    )
    assert "trial-0003 won with accuracy 0.8" in shown.said[1]
    assert "optimistic" in shown.said[1]


def test_every_trial_that_has_a_score_is_drawn_and_no_other() -> None:
    (shown,) = searches(facts())
    for _, chart in (shown.charts[0], *shown.slices):
        assert str(chart).count("<circle") == 3
        assert str(chart).count('class="mark m3"') == 1, "the best is a disc"
        assert 'role="img"' in chart
        assert re.search(r'aria-label="tuned: [^"]+trial-0000', str(chart))
    assert shown.parallel is not None
    assert str(shown.parallel).count("<polyline") == 3
    titles = [title for title, _ in shown.charts]
    assert titles[1] == "What accuracy depended on"
    assert "falls from 0.0001 to 0.001" in titles[2]
    assert "75 %" in str(shown.charts[1][1])


def test_the_table_has_every_trial_and_what_it_failed_of() -> None:
    (shown,) = searches(facts())
    assert len(shown.trials.rows) == 4
    assert [str(row[0]).split()[-1] for row in shown.trials.rows if "won" in str(row[0])]
    assert "the loss is nan" in str(shown.trials.rows[2][1])


def test_several_objectives_show_their_front() -> None:
    raw = facts()
    tuning = raw["steps"][0]["facts"]["tuning"]
    objectives = [*tuning["objectives"], {"metric": "size_mb", "direction": "lower"}]
    trials = [{**t, "values": [*t["values"], 5.0 + t["number"]]} for t in tuning["trials"]]
    trials = [t if len(t["values"]) == 2 else {**t, "values": []} for t in trials]
    more = {"objectives": objectives, "trials": trials, "front": [0, 3], "importance": [{}, {}]}
    (shown,) = searches(facts(**more))
    title, chart = shown.charts[1]
    assert title == "accuracy against size_mb; discs are on the front"
    assert str(chart).count('class="mark m3"') == 2


@pytest.mark.parametrize("count", [0, 1])
def test_little_is_enough(count: int) -> None:
    raw = facts()
    tuning = raw["steps"][0]["facts"]["tuning"]
    trials = [{**tuning["trials"][3], "number": 0}] if count else [tuning["trials"][2]]
    best = {"best": 0, "spaces": tuning["spaces"][:1], "range_test": None, "importance": [{}]}
    if not count:
        trials = [{**trials[0], "number": 0, "values": [0.1], "state": "done"}]
    (shown,) = searches(facts(trials=trials, **best))
    assert shown.parallel is None
    assert shown.charts
