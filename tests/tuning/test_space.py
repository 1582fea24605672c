"""Spaces: read, filled, gridded; what is wrong with them has its place."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.errors import PlanError
from gradus.plan import plan_from_dict
from gradus.tuning.space import Space, fill, grid, spaces_in

STAGES = [{"train": "head", "epochs": 1, "lr": {"log": [1e-5, 1e-3]}}, {"train": "all"}]


def test_spaces_are_found_where_they_stand() -> None:
    tree = {
        "step": "finetune",
        "stages": STAGES,
        "batch_size": {"int": [8, 64], "step": 8},
        "adapter": {"name": "lora", "rank": {"choice": [4, 8]}},
    }
    found, faults = spaces_in(tree)
    assert not faults
    names = [(one.name, one.kind) for one in found]
    assert names == [("stages[0].lr", "log"), ("batch_size", "int"), ("adapter.rank", "choice")]
    made = fill(tree, {one.place: one.examples()[0][1] for one in found})
    assert made["stages"][0]["lr"] == 1e-5
    assert (made["batch_size"], made["adapter"]["rank"]) == (8, 4)
    assert tree["stages"] == STAGES, "the tree itself stays"


def test_one_value_may_stand_in_several_places() -> None:
    same = {"same_as": "stages[0].lr"}
    tree = {"stages": [*STAGES, {"train": "all", "lr": same}], "deep": [{"rates": [same, 1.0]}]}
    found, faults = spaces_in(tree)
    assert not faults
    assert [one.name for one in found] == ["stages[0].lr"]
    made = fill(tree, {("stages", 0, "lr"): 3e-4})
    assert [stage.get("lr") for stage in made["stages"]] == [3e-4, None, 3e-4]
    assert made["deep"] == [{"rates": [3e-4, 1.0]}]
    assert tree["deep"][0]["rates"][0] == same, "the tree itself stays"


def test_what_is_to_be_the_same_as_no_space_is_a_fault() -> None:
    for name in ("stages[0].rl", "stages[1].train"):
        tree = {"stages": STAGES, "lr": {"same_as": name}}
        assert spaces_in(tree)[1] == [
            (
                ("lr", "same_as"),
                f"unknown space '{name}': did you mean 'stages[0].lr'?",
            )
        ]


@pytest.mark.parametrize(
    ("raw", "place", "says"),
    [
        ({"log": [0, 1]}, ("lr", "log", 0), "no logarithm"),
        ({"log": [2, 1]}, ("lr", "log", 1), "above 2"),
        ({"log": [1]}, ("lr", "log"), "two ends"),
        ({"uniform": ["a", 1]}, ("lr", "uniform", 0), "a number"),
        ({"uniform": [0, math.inf]}, ("lr", "uniform", 1), "a number"),
        ({"int": [1.5, 3]}, ("lr", "int", 0), "whole number"),
        ({"int": [1, 8], "step": 0}, ("lr", "step"), "from 1 on"),
        ({"int": [1, 8], "step": 2, "log": True}, ("lr", "step"), "not both"),
        ({"uniform": [0, 1], "step": 2}, ("lr", "step"), "no 'step'"),
        ({"choice": []}, ("lr", "choice"), "nothing"),
        ({"choice": [1, 2, 1]}, ("lr", "choice", 2), "twice"),
        ({"choice": [{"log": [1, 2]}]}, ("lr", "choice", 0), "side by side"),
    ],
)
def test_a_fault_has_its_place(raw: Any, place: tuple[Any, ...], says: str) -> None:
    _, ((found, message),) = spaces_in({"lr": raw})
    assert found == place
    assert says in message


@given(
    st.floats(1e-6, 1e3),
    st.floats(1.1, 1e3),
    st.integers(2, 9),
    st.sampled_from(["log", "uniform"]),
)
def test_points_of_a_grid_are_even_and_hold_both_ends(
    low: float, ratio: float, count: int, kind: Any
) -> None:
    points = Space(("x",), kind, low, low * ratio).points(count)
    assert len(points) == count
    assert (points[0], points[-1]) == pytest.approx((low, low * ratio))
    scale = [math.log(v) for v in points] if kind == "log" else points
    gaps = [b - a for a, b in itertools.pairwise(scale)]
    assert gaps == pytest.approx([gaps[0]] * len(gaps), rel=1e-6)


@given(st.integers(-50, 50), st.integers(1, 100), st.integers(1, 7), st.integers(1, 9))
def test_whole_numbers_of_a_grid_are_reached_by_the_step(
    low: int, width: int, step: int, count: int
) -> None:
    points = Space(("x",), "int", low, low + width, step=step).points(count)
    assert all(isinstance(v, int) and low <= v <= low + width for v in points)
    assert all((v - low) % step == 0 for v in points)
    assert len(set(points)) == len(points) <= count


def test_a_grid_is_every_combination_once() -> None:
    spaces = [
        Space(("a",), "choice", choices=("x", "y")),
        Space(("b",), "uniform", 0, 1),
        Space(("c",), "int", 1, 3),
    ]
    cells = [tuple(cell.values()) for cell in grid(spaces, 3)]
    assert cells[:4] == [("x", 0.0, 1), ("x", 0.0, 2), ("x", 0.0, 3), ("x", 0.5, 1)]
    assert len(set(cells)) == len(cells) == 18


def faults_of(inner: Any, **more: Any) -> list[str]:
    raw = {
        "name": "p",
        "data": {"news": {"source": {"file": "news.jsonl"}}},
        "models": {"encoder": {"folder": "encoder"}},
        "steps": [{"id": "t", "step": "tune", "inner": inner, **more}],
    }
    try:
        plan_from_dict(raw)
    except PlanError as error:
        return [f"{fault.path}: {fault.message}" for fault in error.faults]
    return []


def inner(**keys: Any) -> dict[str, Any]:
    made = {"step": "finetune", "model": "encoder", "data": "news", "stages": STAGES}
    return {**made, **keys}


def test_a_plan_without_fault_has_none() -> None:
    assert faults_of(inner()) == []


@pytest.mark.parametrize(
    ("step", "more", "expected"),
    [
        (inner(model="encodr"), {}, "steps.t.inner.model: unknown model or step 'encodr'"),
        (inner(data="old"), {}, "steps.t.inner.data: unknown data set 'old'"),
        (inner(stages=[{"train": "head"}]), {}, "steps.t.inner: has no space"),
        (inner(stagse=1), {}, "steps.t.inner.stagse: unknown key 'stagse': did you mean 'stages'"),
        (inner(pooolng={"choice": ["mean"]}), {}, "steps.t.inner.pooolng: unknown key 'pooolng'"),
        (inner(id="x"), {}, "steps.t.inner.id: 'id' belongs to the outer step"),
        (inner(step="evaluate"), {}, "steps.t.inner.step: evaluate makes no model"),
        (inner(step="finetun"), {}, "steps.t.inner.step: unknown step 'finetun'"),
        (
            inner(model={"choice": ["encoder", "encodr"]}),
            {},
            "steps.t.inner.model.choice[1]: unknown model or step 'encodr'",
        ),
        (
            inner(stages=[{"train": "all", "lr": {"uniform": [-1, 1]}}]),
            {},
            "steps.t.inner.stages[0].lr.uniform[0]:",
        ),
        (
            inner(stages={"choice": [[{"train": "head"}], [{"train": "hed"}]]}),
            {},
            "steps.t.inner.stages.choice[1][0].train: 'hed' is none of",
        ),
        (
            inner(stages=[*STAGES, {"train": "all", "lr": {"same_as": "stages[0].rl"}}]),
            {},
            "steps.t.inner.stages[2].lr.same_as: unknown space 'stages[0].rl'",
        ),
        (
            # The rate may be 8, and a share of weights to be dropped may not.
            inner(
                stages=[
                    {"train": "all", "lr": {"uniform": [0.5, 8]}},
                    {"train": "all", "dropout": {"same_as": "stages[0].lr"}},
                ]
            ),
            {},
            "steps.t.inner.stages[1].dropout:",
        ),
        (inner(batch_size={"log": [1.5, 8]}), {}, "steps.t.inner.batch_size.log[0]:"),
        (inner(), {"sampler": "tpee"}, "steps.t.sampler"),
        (inner(), {"objectives": "acuracy"}, "steps.t.objectives"),
        (inner(stages=STAGES[:1]), {"pruner": "halving"}, "steps.t: pruner: compares at the end"),
        (inner(), {"pruner": {"rungs": [2]}}, "steps.t: pruner: a rung stands"),
        (
            inner(),
            {"pruner": "halving", "objectives": ["accuracy", "size_mb"]},
            "steps.t: pruner: compares by one",
        ),
        (inner(), {"budget": {"trials": 0}}, "steps.t.budget.trials: should be at least 1"),
        (inner(), {"storage": "trials.db"}, "steps.t: storage: write"),
        (
            inner(),
            {"lr_range_test": {"stage": 2}},
            "steps.t: lr_range_test: the step has no stage 2",
        ),
        (inner(), {"sampler": "cma-es"}, "steps.t: sampler: cma-es needs two ranges"),
        (
            inner(stages={"choice": [[{"train": "head"}], [{"train": "head"}, {"train": "all"}]]}),
            {"lr_range_test": {"stage": 1}},
            "steps.t: lr_range_test: the step has no stage 1",
        ),
    ],
)
def test_check_finds_every_fault_at_its_path(
    step: Any, more: dict[str, Any], expected: str
) -> None:
    found = faults_of(step, **more)
    assert any(line.startswith(expected) for line in found), found
