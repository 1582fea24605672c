"""Exports of every kind of checkpoint, from a plan that makes them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, metadata_load

import gradus
from gradus import registry
from gradus.cards.export import export
from gradus.checkpoints import read_manifest, verify
from gradus.records import RunRecord
from gradus.testing.world import World

from .conftest import plan

pytestmark = pytest.mark.slow

STEPS: dict[str, dict[str, Any]] = {
    "linear": {"step": "baseline"},
    "transformer": {"step": "finetune", "model": "encoder", "stages": [{"train": "head"}]},
    "calibrated": {"step": "calibrate", "model": "transformer", "abstain": {"coverage": 0.8}},
    "onnx": {"step": "quantize", "model": "transformer"},
    "openvino": {
        "step": "quantize",
        "model": "transformer",
        "scheme": "openvino-int8",
        "calibration": {"texts": 16},
    },
    "torchao": {"step": "quantize", "model": "transformer", "scheme": "torchao-int8"},
    "prompt": {"step": "prompt", "model": "lm", "instruction": "Which section?"},
    "ensemble": {
        "step": "crossval",
        "folds": 2,
        "configurations": {"words": {"step": "baseline"}},
        "refit": "ensemble",
    },
}
KINDS = {"calibrated": "transformer"}


@pytest.fixture(scope="module")
def everything(state: None, world: Path, tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    World(world).model("lm")
    made = plan(world)
    made["models"]["lm"] = {"folder": str(world / "lm"), "license": "mit"}
    steps = [{"id": name, "data": "news", **step} for name, step in STEPS.items()]
    steps.append({"id": "final", "step": "evaluate", "models": list(STEPS), "on": "news.test"})
    return gradus.run({**made, "steps": steps}, runs_dir=tmp_path_factory.mktemp("runs"))


def test_no_kind_is_left_out() -> None:
    kinds = {registry.plain(name) for name in registry.names("kinds")}
    assert {KINDS.get(name, name) for name in STEPS} == kinds


@pytest.mark.parametrize("name", STEPS)
def test_the_copy_answers_and_its_card_has_what_was_measured(
    everything: RunRecord, name: str, tmp_path: Path
) -> None:
    source, out = everything.checkpoint(name), tmp_path / "out"
    made = export(source, out)
    manifest = verify(out)
    assert (manifest.kind, manifest.digest) == (KINDS.get(name, name), made["digest"])
    texts = ["The striker won the final.", "A bank fixed a bug."]
    assert gradus.load(out).predict(texts) == gradus.load(source).predict(texts)

    measured = {
        (m.metric, m.split): m.value
        for step in everything.steps
        for m in step.measurements
        if m.checkpoint == name and m.benchmark.startswith("classify")
    }
    head = metadata_load(out / "README.md")
    card = ModelCard.load(out / "README.md")
    found = {(e.metric_type, e.dataset_split): e.metric_value for e in card.data.eval_results}
    assert found == {key: value for key, value in measured.items() if "[" not in key[0]}
    assert ("accuracy", "test") in found
    assert head["pipeline_tag"] == "text-classification"
    assert head["library_name"] == "gradus"
    assert head["license"] == {"linear": "unknown", "ensemble": "unknown", "prompt": "mit"}.get(
        name, "apache-2.0"
    )
    text = card.text
    assert manifest.digest in text
    assert everything.data["news"]["split_digests"]["test"] in text
    for ancestor in read_manifest(source).lineage:
        assert ancestor.digest in text
    assert "## Limits" in text
