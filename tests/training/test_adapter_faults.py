"""What adapters refuse, and how they say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradus.errors import CheckpointError, GradusError, TrainingError
from gradus.training.adapters import attach as adapters
from gradus.training.adapters.attached import of
from gradus.training.adapters.base import parse

from .conftest import LAYERS, WIDTH, make_model
from .test_adapters import OPTIONS, adapted


@pytest.mark.parametrize(
    ("family", "options", "why"),
    [
        ("distilbert", OPTIONS["prefix-tuning"], "'distilbert' model takes no keys and values"),
        ("bert", {"name": "lora", "targets": ["q_proj"]}, r"'q_proj' is no linear layer.*query"),
        ("bert", {"name": "ia3", "targets": ["quer"]}, r"'quer' is no linear layer"),
    ],
)
def test_what_a_family_does_not_take_is_said(
    family: str, options: dict[str, Any], why: str
) -> None:
    model = make_model(family)
    with pytest.raises(TrainingError, match=why):
        adapters.attach(model, parse(options))
    assert of(model) is None


def test_ia3_asks_for_targets_of_an_unknown_family() -> None:
    model = make_model("bert")
    model.config.model_type = "newcomer"
    with pytest.raises(TrainingError, match=r"of a 'newcomer' model .* query, key, value, dense"):
        adapters.attach(model, parse("ia3"))
    named = {"name": "ia3", "targets": ["key", "intermediate.dense"], "feedforward": []}
    assert len(adapters.attach(model, parse(named)).parameters) == 2 * LAYERS


def test_targets_may_be_named() -> None:
    model = make_model("bert")
    attached = adapters.attach(
        model, parse({"name": "lora", "rank": 2, "targets": ["query", "attention.output.dense"]})
    )
    layers = {n.partition(".lora_")[0].partition("layer.")[2][2:] for n in attached.parameters}
    assert layers == {"attention.self.query", "attention.output.dense"}
    assert attached.size == LAYERS * 2 * 2 * (WIDTH + WIDTH)


def test_broken_files_of_an_adapter_are_named(tmp_path: Path) -> None:
    model = adapted("bert", OPTIONS["lora"])
    adapters.write(model, tmp_path)
    weights = tmp_path / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    with pytest.raises(CheckpointError, match="adapter can't be read"):
        adapters.load(make_model("bert"), tmp_path)
    weights.unlink()
    (tmp_path / "adapter" / "adapter_model.bin").write_bytes(b"a pickle is never read")
    with pytest.raises(CheckpointError, match=r"adapter_model\.safetensors is missing"):
        adapters.load(make_model("bert"), tmp_path)


def test_without_peft_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from gradus.errors import MissingExtra

    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra, match=r"gradus-lm\[adapters\]"):
        adapters.attach(make_model("bert"), parse("lora"))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("lara", "unknown adapter 'lara': did you mean 'lora'"),
        ({"rank": 3}, "'name' is missing"),
        ({"name": "lora", "rnk": 3}, "Extra inputs"),
        ({"name": "lora", "rank": 0}, "greater than or equal to 1"),
        ({"name": "lora", "targets": []}, "at least 1 item"),
        ({"name": "ia3", "targets": ["key"], "feedforward": ["value"]}, "must stand in targets"),
        ({"name": "prompt-tuning", "merge": True}, "Extra inputs"),
    ],
)
def test_faults_of_an_adapter_are_said(value: Any, why: str) -> None:
    with pytest.raises((GradusError, ValueError), match=why):
        parse(value)
