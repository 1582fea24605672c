from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gradus.benchmarks.cost import CostBenchmark
from gradus.plan.faults import Faults
from gradus.plan.tree import read
from gradus.steps.base import StepContext, Target
from gradus.steps.baseline import Baseline
from gradus.steps.evaluate import Evaluate, EvaluateConfig


def outcome(tmp_path: Path, **config: Any):
    context = StepContext(
        id="final", seed=1, out=tmp_path, work=tmp_path, models={}, data=None,
        monitor=None, dtype="float32", threads=1,
    )  # fmt: skip
    return Evaluate().run(EvaluateConfig(**config), context)


@pytest.mark.parametrize(
    ("on", "data", "split"),
    [
        ("news", "news", "dev.gate"),
        ("news.dev.gate", "news", "dev.gate"),
        ("news.dev.select", "news", "dev.select"),
        ("news.test", "news", "test"),
        ("test", "test", "dev.gate"),
        ("test.test", "test", "test"),
    ],
)
def test_on_names_data_and_split(tmp_path: Path, on: str, data: str, split: str) -> None:
    config = EvaluateConfig(models=["floor", "tuned"], on=on)
    needs = Evaluate.needs(config)
    assert needs.either == {"on": data}
    assert needs.models == {"models[0]": "floor", "models[1]": "tuned"}
    found = outcome(tmp_path, models=["floor", "tuned"], on=on, sample=50)
    assert found.checkpoint is None
    assert found.measure == [
        Target(checkpoint=name, data=data, split=split, sample=50) for name in ("floor", "tuned")
    ]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"models": [], "on": "news"}, "at least 1"),
        ({"models": ["a", "a"], "on": "news"}, "more than once: a"),
        ({"models": ["a"], "on": "news.train"}, "trained on isn't measured"),
        ({"models": ["a"], "on": "news.dev"}, "one of news.dev.gate, news.dev.select, news.test"),
        ({"models": ["a"], "on": "news", "sample": 0}, "sample"),
        ({"models": ["a"]}, "on"),
    ],
)
def test_bad_configs(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        EvaluateConfig(**config)


def test_cost_can_be_left_out() -> None:
    costs = set(CostBenchmark.metrics)
    with_costs = Evaluate.produces(EvaluateConfig(models=["a"], on="news"))
    without = Evaluate.produces(EvaluateConfig(models=["a"], on="news", cost=False))
    assert with_costs - without == costs
    assert "accuracy" in without


@pytest.mark.parametrize("step", [Evaluate, Baseline])
def test_example_is_valid(step: Any) -> None:
    faults = Faults()
    raw = dict(read(step.example, faults).value)
    assert not faults
    for key in ("id", "step", "gates"):
        raw.pop(key, None)
    step.Config.model_validate(raw)
