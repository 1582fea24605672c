"""A fingerprint changes with what the result depends on, and with nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus import hardware
from gradus.data.dataset import Dataset
from gradus.records import CheckpointRef, StepSpec
from gradus.runner import fingerprint

from .rows import change_split

Arguments = dict[str, Any]


@pytest.fixture
def arguments(spec: StepSpec, encoder: CheckpointRef, dataset: Dataset) -> Arguments:
    return {
        "spec": spec,
        "seed": 5,
        "models": {"encoder": encoder},
        "data": dataset,
        "dtype": "float32",
    }


def of(arguments: Arguments) -> str:
    rest = {key: value for key, value in arguments.items() if key != "spec"}
    return fingerprint.of_step(arguments["spec"], **rest)


def changed(**fields: Any) -> Callable[[Arguments], Arguments]:
    return lambda a: {**a, "spec": dataclasses.replace(a["spec"], **fields)}


def weights(**fields: Any) -> Callable[[Arguments], Arguments]:
    return lambda a: {
        **a,
        "models": {n: dataclasses.replace(ref, **fields) for n, ref in a["models"].items()},
    }


@pytest.mark.parametrize(
    "change",
    [
        changed(kind="finetune.v2"),
        changed(config={"model": "encoder", "data": "rows", "stages": [{"lr": 2e-4}]}),
        lambda a: {**a, "seed": 6},
        lambda a: {**a, "dtype": "bfloat16"},
        lambda a: {**a, "timing": fingerprint.timing({})},
        lambda a: {**a, "data": change_split(a["data"], "train")},
        lambda a: {**a, "data": change_split(a["data"], "dev.select")},
        lambda a: {**a, "data": dataclasses.replace(a["data"], labels=("sport", "money"))},
        lambda a: {**a, "data": None},
        weights(digest="cd" * 32),
        weights(kind="gguf"),
        lambda a: {**a, "models": {"other": a["models"]["encoder"]}},
    ],
)
def test_it_changes_with_every_ingredient(
    arguments: Arguments, change: Callable[[Arguments], Arguments]
) -> None:
    assert of(change(arguments)) != of(arguments)


@pytest.mark.parametrize(
    "change",
    [
        changed(gates=("accuracy >= 0.9",), on_undecided="stop", line=40),
        lambda a: {**a, "data": change_split(a["data"], "dev.gate")},
        lambda a: {**a, "data": change_split(a["data"], "test")},
        lambda a: {**a, "data": dataclasses.replace(a["data"], name="other", facts={"x": 1})},
        weights(path="/elsewhere", name="other", origin={"folder": "/elsewhere"}),
    ],
)
def test_it_changes_with_nothing_else(
    arguments: Arguments, change: Callable[[Arguments], Arguments]
) -> None:
    assert of(change(arguments)) == of(arguments)


def test_it_changes_with_threads_and_versions(
    arguments: Arguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADUS_THREADS", "1")
    one = of(arguments)
    monkeypatch.setenv("GRADUS_THREADS", "2")
    assert of(arguments) != one
    two = of(arguments)
    version = hardware.version
    for name in ("gradus-lm", "torch", "transformers"):
        with monkeypatch.context() as patch:
            patch.setattr(
                hardware, "version", lambda n, name=name: "99" if n == name else version(n)
            )
            assert of(arguments) != two, name


def test_seeds_of_steps_are_their_own() -> None:
    assert fingerprint.step_seed(13, "tuned") == fingerprint.step_seed(13, "tuned")
    seeds = {fingerprint.step_seed(seed, f"step-{i}") for seed in range(20) for i in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), values, max_size=4))
def test_the_order_of_keys_has_no_part(value: dict[str, Any]) -> None:
    assert fingerprint.digest(value) == fingerprint.digest(dict(reversed(value.items())))
    assert fingerprint.digest(value) != fingerprint.digest({**value, "another key": 1})
