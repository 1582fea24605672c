"""Folds begin with models that have not seen what they hold out."""

from __future__ import annotations

from typing import Any

import pytest

from gradus.errors import PlanError
from gradus.plan import plan_from_dict

HEAD = {"train": "head", "epochs": 1, "lr": {"log": [1e-3, 1e-1]}}


def plan(*steps: dict[str, Any]) -> dict[str, Any]:
    source = {"file": "rows.jsonl"}
    return {
        "name": "mini",
        "data": {
            "rows": {"source": source, "columns": {"label": "label"}},
            "others": {"source": source, "columns": {"label": "label"}},
        },
        "models": {"encoder": {"folder": "encoder"}},
        "steps": list(steps),
    }


def faults(*steps: dict[str, Any]) -> list[tuple[str, str]]:
    try:
        plan_from_dict(plan(*steps))
    except PlanError as error:
        return [(fault.path, fault.message) for fault in error.faults]
    return []


def search(**more: Any) -> dict[str, Any]:
    return {"id": "best", "step": "tune", "inner": tuned(stages=[HEAD], id=None), **more}


def tuned(**more: Any) -> dict[str, Any]:
    made = {"id": "tuned", "step": "finetune", "model": "encoder", "data": "rows", **more}
    return {key: value for key, value in made.items() if value is not None}


def folds(*, begin: str = "encoder", **more: Any) -> dict[str, Any]:
    way = {"step": "finetune", "model": begin}
    return {
        "id": "folds",
        "step": "crossval",
        "data": "rows",
        "configurations": {"way": way},
        **more,
    }


BETWEEN = {"id": "next", "step": "finetune", "model": "tuned", "data": "others"}


@pytest.mark.parametrize(
    "before",
    [
        [tuned(id="start")],
        [search(id="start")],
        [tuned(), {**BETWEEN, "id": "start"}],
        [tuned(), {"id": "start", "step": "calibrate", "model": "tuned", "data": "rows"}],
    ],
    ids=["trained", "searched", "an ancestor of it", "calibrated"],
)
def test_folds_begin_with_nothing_that_was_trained_on_them(before: list[dict[str, Any]]) -> None:
    ((where, told),) = faults(*before, folds(begin="start"))
    assert where == "steps.folds.configurations.way.model"
    taught = "start" if len(before) == 1 else "tuned"
    assert told.startswith(f"'{taught}' was trained on 'rows', so it has seen what the folds")
    assert "seen_items" in told
    assert faults(*before, folds(begin="start", seen_items="the same as last year")) == []


def test_folds_may_begin_with_what_others_have_taught() -> None:
    assert faults(tuned(data="others"), folds(begin="tuned")) == []
    assert faults(folds()) == []
