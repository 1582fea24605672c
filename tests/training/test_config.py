from __future__ import annotations

import pytest
from pydantic import ValidationError

from gradus.training.config import StageConfig, default_stages, matches, parse_stages


def test_the_default_solves_the_head_and_then_trains_all_layers() -> None:
    head, everything = default_stages()
    assert head.solved
    assert everything.train == "all"
    assert not everything.solved
    assert parse_stages(None) == default_stages()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({"train": "topp-2"}, "none of head, top-N, all"),
        ({"train": "top-0"}, "none of head, top-N, all"),
        ({"train": []}, "trains nothing"),
        ({"train": ["/(/"]}, "not a regular expression"),
        ({"train": "all", "solver": "lbfgs"}, "needs train: head"),
        ({"epochs": 1, "steps": 2}, "epochs or steps"),
        ({"batch_size": 1, "batch_tokens": 2}, "batch_size or batch_tokens"),
        ({"lr": 0}, "greater than 0"),
        ({"warmup": -0.1}, "greater than or equal to 0"),
        ({"label_smoothing": 1.0}, "less than 1"),
        ({"learning_rate": 1e-3}, "Extra inputs"),
    ],
)
def test_a_wrong_stage_says_what_is_wrong(raw: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        StageConfig.model_validate(raw)


def test_a_head_with_a_learning_rate_is_descended_to() -> None:
    assert StageConfig(train="head").solved
    assert not StageConfig(train="head", lr=1e-3).solved
    assert not StageConfig(train="head", epochs=3).solved
    assert not StageConfig(train="head", solver="gradient").solved
    assert StageConfig(train="head", solver="lbfgs", epochs=3).solved


def test_patience_keeps_the_best_weights() -> None:
    assert not StageConfig().keeps_best
    assert StageConfig(patience=2).keeps_best
    assert not StageConfig(patience=2, keep="last").keeps_best
    assert StageConfig(keep="best").keeps_best


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("layer.1", True),
        ("layer.11", False),
        ("encoder.layer.1.output", True),
        ("encoder.layer.1.out", False),
        ("encoder.layer.1.output.dense.weight", True),
        ("/dense/", True),
        ("/^layer\\.1$/", True),
        ("/query/", False),
    ],
)
def test_patterns_select_by_group_prefix_and_expression(pattern: str, expected: bool) -> None:
    assert matches(pattern, "layer.1", "encoder.layer.1.output.dense.weight") is expected
