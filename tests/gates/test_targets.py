"""Gates on metrics that the data's target can't have are told before anything is computed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gradus.plan import check_plan


def faults(target: str | None, gate: str, format_name: str = "auto") -> list[str]:
    source = {"file": "x.csv" if format_name == "auto" else "x.conll"}
    data: dict[str, Any] = {"source": source, "format": format_name}
    if target is not None:
        data["target"] = target
    evaluate = {"id": "b", "step": "evaluate", "models": ["m"], "on": "d.test", "gates": [gate]}
    models = {"m": {"folder": "m"}}
    plan = {"name": "t", "data": {"d": data}, "models": models, "steps": [evaluate]}
    return [f"{fault.path}: {fault.message}" for fault in check_plan(json.dumps(plan))]


@pytest.mark.parametrize(
    ("target", "gate"),
    [
        (None, "accuracy >= 0.5"),
        ("label", "auroc_macro >= 0.5"),
        ("number", "spearman >= 0.5"),
        ("labels", "multilabel_f1_micro >= 0.5"),
        ("spans", "span_f1 >= 0.5"),
        ("number", "size_mb <= 5"),
    ],
)
def test_a_metric_of_the_target_is_fine(target: str | None, gate: str) -> None:
    assert faults(target, gate) == []


@pytest.mark.parametrize(
    ("target", "gate", "metric"),
    [
        (None, "span_f1 >= 0.5", "span_f1"),
        ("number", "accuracy >= 0.5", "accuracy"),
        ("spans", "rmse <= 0.5", "rmse"),
        ("labels", "f1_macro >= 0.5", "f1_macro"),
    ],
)
def test_a_metric_of_another_target_is_a_fault(target: str | None, gate: str, metric: str) -> None:
    (fault,) = faults(target, gate)
    assert fault.startswith(f"steps.b.gates[0]: unknown metric '{metric}'")
    assert f"the data's target is '{target or 'label'}'" in fault


def test_what_a_format_implies_counts() -> None:
    assert faults(None, "span_f1 >= 0.5", "conll") == []
    (fault,) = faults(None, "accuracy >= 0.5", "conll")
    assert "the data's target is 'spans', measured by tag.v1" in fault
