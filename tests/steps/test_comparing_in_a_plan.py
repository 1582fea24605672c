"""The metrics that steps with others inside compare by are those that their data have."""

from __future__ import annotations

from typing import Any

import pytest

from gradus.errors import PlanError
from gradus.plan import plan_from_dict


def plan(*steps: dict[str, Any], target: str = "label") -> dict[str, Any]:
    source = {"file": "rows.jsonl"}
    columns = {"label": target}
    return {
        "name": "mini",
        "data": {
            "rows": {"source": source, "target": target, "columns": columns},
            "others": {"source": source, "target": target, "columns": columns},
        },
        "models": {"encoder": {"folder": "encoder"}},
        "steps": list(steps),
    }


def faults(*steps: dict[str, Any], target: str = "label") -> list[tuple[str, str]]:
    try:
        plan_from_dict(plan(*steps, target=target))
    except PlanError as error:
        return [(fault.path, fault.message) for fault in error.faults]
    return []


@pytest.mark.parametrize(
    ("step", "path"),
    [
        (
            {
                "id": "best",
                "step": "tune",
                "inner": {"step": "baseline", "data": "rows", "C": {"choice": [1.0, 9.0]}},
                "objectives": ["rmse", "accuracy", "size_mb"],
            },
            "steps.best.objectives[1]",
        ),
        (
            {
                "id": "folds",
                "step": "crossval",
                "data": "rows",
                "configurations": {"words": {"step": "baseline"}},
                "metric": "accuracy",
            },
            "steps.folds.metric",
        ),
        (
            {
                "id": "more",
                "step": "learning-curve",
                "data": "rows",
                "training": {"step": "baseline"},
                "metric": "accuracy",
            },
            "steps.more.metric",
        ),
    ],
    ids=["tune", "crossval", "learning-curve"],
)
def test_a_metric_is_one_that_the_data_have(step: dict[str, Any], path: str) -> None:
    ((where, told),) = faults(step, target="number")
    assert where == path
    assert told.startswith("unknown metric 'accuracy'")
    assert "the data's target is 'number', measured by regress.v1" in told
    if "objectives" not in step:
        assert faults(step) == []


def test_what_a_search_inside_a_fold_asks_for_is_looked_at_too() -> None:
    inner = {"step": "baseline", "C": {"choice": [1.0, 9.0]}}
    ways = {"searched": {"step": "tune", "inner": inner, "objectives": "accuracy"}}
    step = {"id": "folds", "step": "crossval", "data": "rows", "configurations": ways}
    ((where, _),) = faults(step, target="number")
    assert where.startswith("steps.folds.configurations.searched")
    assert faults(step) == []
