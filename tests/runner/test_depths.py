"""A plan's pretraining at several depths, and what a depth that wasn't trained would take."""

from __future__ import annotations

from typing import Any

import pytest

from gradus.errors import UsageError
from gradus.plan import plan_from_dict
from gradus.records import Plan
from gradus.runner.depths import ahead, at_depth, sweep, weights

PRETRAIN = {
    "id": "base",
    "step": "pretrain",
    "corpus": "plays",
    "tokenizer": "tok",
    "model": {"architecture": "gpt2", "layers": 3, "width": 96, "dropout": 0.1},
    "block": 64,
    "steps": 50,
    "gates": ["bits_per_byte <= 3"],
}


def plan(*more: dict[str, Any], **changed: Any) -> Plan:
    corpus = {"source": {"file": "plays.txt"}, "format": "text"}
    return plan_from_dict(
        {
            "name": "plays",
            "corpora": {"plays": corpus},
            "models": {"lm": {"folder": "lm"}},
            "steps": [
                {"id": "other", "step": "tokenizer", "corpus": "plays"},
                {"id": "tok", "step": "tokenizer", "corpus": "plays"},
                {**PRETRAIN, **changed},
                *more,
            ],
        }
    )


def test_the_sweep_has_what_the_step_rests_on_and_a_step_a_depth() -> None:
    made, ids = sweep(plan(), [1, 2, 4])
    assert made.name == "plays-scaling"
    assert ids == {1: "base-1", 2: "base-2", 4: "base-4"}
    assert [one.id for one in made.steps] == ["tok", "base-1", "base-2", "base-4"]
    for depth, name in ids.items():
        one = made.step(name)
        assert one.config["model"]["depth"] == depth
        assert one.config["model"]["layers"] is one.config["model"].get("width") is None
        assert one.config["model"]["dropout"] == 0.1
        assert (one.config["steps"], one.config["block"]) == (50, 64)
        assert (one.gates, one.models) == ((), ("tok",))


def test_the_sweep_is_a_plan_like_any_other() -> None:
    from gradus.plan.dump import dump
    from gradus.plan.load import load_plan

    made, _ = sweep(plan(), [1, 2], ratio=10)
    again = load_plan(dump(made), folder=".")
    assert [(s.id, dict(s.config)) for s in again.steps] == [
        (s.id, dict(s.config)) for s in made.steps
    ]


def test_tokens_for_each_parameter_replace_the_budget() -> None:
    made, ids = sweep(plan(), [2, 3], ratio=20)
    for depth in (2, 3):
        config = made.step(ids[depth]).config
        assert config["tokens"] == 20 * 12 * depth * (64 * depth) ** 2
        assert config["steps"] is None


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"depths": [1, 1]}, "different numbers"),
        ({"depths": [0, 1]}, "different numbers"),
        ({"step": "bas"}, "did you mean 'base'|known"),
        ({"step": "tok"}, "tok"),
    ],
)
def test_refusals(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        sweep(plan(), asked.get("depths", [1, 2]), step=asked.get("step"))


def test_what_has_its_depth_already_is_refused() -> None:
    with pytest.raises(UsageError, match="0 steps that pretrain from scratch"):
        sweep(_continued(), [1, 2])
    with pytest.raises(UsageError, match="goes on from lm"):
        sweep(_continued(), [1, 2], step="base")


def test_the_same_minutes_are_the_same_compute() -> None:
    timed = plan(steps=None, minutes=2)
    with pytest.raises(UsageError, match="--tokens-per-parameter"):
        sweep(timed, [1, 2])
    assert sweep(timed, [1, 2], ratio=5)[0].step("base-1").config["minutes"] is None


def _continued() -> Plan:
    given = {key: value for key, value in PRETRAIN.items() if key != "tokenizer"}
    return plan_from_dict(
        {
            "name": "plays",
            "corpora": {"plays": {"source": {"file": "plays.txt"}, "format": "text"}},
            "models": {"lm": {"folder": "lm"}},
            "steps": [{**given, "model": "lm"}],
        }
    )


def test_two_pretrainings_need_a_choice() -> None:
    second = {**PRETRAIN, "id": "more"}
    with pytest.raises(UsageError, match="base, more"):
        sweep(plan(second), [1, 2])
    assert sweep(plan(second), [1, 2], step="more")[1] == {1: "more-1", 2: "more-2"}
    with pytest.raises(UsageError, match="base-2 already"):
        sweep(_clash(), [2])


def _clash() -> Plan:
    return plan_from_dict(
        {
            "name": "plays",
            "corpora": {"plays": {"source": {"file": "plays.txt"}, "format": "text"}},
            "steps": [
                {"id": "base-2", "step": "tokenizer", "corpus": "plays"},
                {**PRETRAIN, "tokenizer": "base-2"},
            ],
        }
    )


def test_parameters_and_compute_ahead_are_those_of_the_model_itself() -> None:
    """Against models that are built: GPT-2's parameters, and operations as they are counted."""
    from transformers import GPT2Config, GPT2LMHeadModel

    def built(depth: int) -> float:
        config = GPT2Config(
            vocab_size=500, n_positions=64, n_embd=64 * depth, n_layer=depth, n_head=depth
        )
        return float(sum(p.numel() for p in GPT2LMHeadModel(config).parameters()))

    config = sweep(plan(), [2])[0].step("base-2").config
    tokens = 1e6
    each = 6 * built(2) + 12 * 2 * 128 * 64
    known = {"depth": 2, "parameters": built(2), "tokens": tokens, "flops": each * tokens}
    found = ahead(known, config, 4, None)
    assert found["parameters"] == pytest.approx(built(4), rel=0.01)
    assert found["tokens"] == tokens
    assert found["flops"] == pytest.approx((6 * built(4) + 12 * 4 * 256 * 64) * tokens, rel=0.01)
    grown = ahead(known, config, 4, 20.0)
    assert grown["tokens"] == pytest.approx(8 * tokens)  # 12 N d^2 grows with the cube of N
    assert grown["flops"] == pytest.approx(8 * found["flops"])
    same = ahead(known, config, 2, None)
    assert (same["parameters"], same["flops"]) == pytest.approx((built(2), each * tokens))


def test_weights_are_those_of_the_layers() -> None:
    model = at_depth(plan().step("base").config, 3, None)["model"]
    assert weights(model, 64) == 12 * 3 * 192**2
