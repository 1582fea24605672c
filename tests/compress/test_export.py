from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradus.compress import export as exporting
from gradus.compress.classifier import load_classifier
from gradus.errors import CheckpointError
from gradus.predict import load
from gradus.predict.graph import TOKENIZER, TextEncoder
from gradus.predict.onnx import open_session

from .classifiers import make_classifier, make_texts
from .steps import Pair

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize(
    ("family", "pooling", "normalise"),
    [("bert", "first", True), ("bert", "mean", False), ("gpt2", "last", True)],
)
def test_the_module_computes_what_the_checkpoint_does(
    family: str, pooling: str, normalise: bool, tmp_path: Path
) -> None:
    ref = make_classifier(family, tmp_path, pooling=pooling, normalise=normalise)
    texts = make_texts(12)
    classifier = load_classifier(ref)
    expected = load(ref).predictor.log_probs(texts)
    for text, row in zip(texts, expected, strict=True):
        ids = torch.tensor(classifier.encode([text]))
        found = torch.log_softmax(classifier.module(ids).double(), -1)[0]
        np.testing.assert_allclose(found.numpy(), row, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "fused"), [("bert", True), ("roberta", True), ("distilbert", True), ("gpt2", False)]
)
def test_attention_is_one_node_where_every_token_sees_every_other(family: str, fused: bool) -> None:
    model = onnx.load(Pair.of(family).child / "model.onnx")
    kinds = {node.op_type for node in model.graph.node}
    assert ("MultiHeadAttention" in kinds) == fused
    assert ("Softmax" in kinds) != fused


def test_standard_operators_alone_when_asked_for() -> None:
    classifier = load_classifier(Pair.of("bert").parent)
    exported = exporting.export(classifier, make_texts(5), fuse=False)
    assert exported.attention == "eager"
    assert {node.domain for node in exported.model.graph.node} == {""}
    assert exported.difference < 1e-4


def test_a_graph_holds_no_path_of_this_machine() -> None:
    content = (Pair.of("bert").child / "model.onnx").read_bytes()
    assert not re.findall(rb"/[a-z]+/[\w/.-]+\.py|stack_trace", content)


def test_a_graph_that_strays_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    right = exporting._traced

    def damaged(classifier: Any, attention: str) -> Any:
        model = right(classifier, attention)
        for weights in model.graph.initializer:
            if weights.name == "head.bias":
                values = onnx.numpy_helper.to_array(weights) + np.float32(0.01)
                weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
        return model

    monkeypatch.setattr(exporting, "_traced", damaged)
    classifier = load_classifier(Pair.of("bert").parent)
    with pytest.raises(CheckpointError, match=r"bert model .* strays from torch by 0\.01"):
        exporting.export(classifier, make_texts(5))


def test_an_architecture_that_the_exporter_refuses_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    classifier = load_classifier(Pair.of("distilbert").parent)

    def branching(ids: torch.Tensor) -> torch.Tensor:
        # What happens depends on values, which no graph can know.
        return ids.float() if int(ids.sum()) > 3 else -ids.float()

    real = classifier.module.forward
    monkeypatch.setattr(
        classifier.module,
        "forward",
        lambda input_ids: (
            branching(input_ids) if torch.compiler.is_exporting() else real(input_ids)
        ),
    )
    with pytest.raises(CheckpointError, match=r"(?s)distilbert .*Supported are encoders such as"):
        exporting.export(classifier, make_texts(3))


def test_a_tokenizer_that_cuts_otherwise_is_refused(tmp_path: Path) -> None:
    ref = Pair.of("bert").parent
    classifier = load_classifier(ref)
    content = (Path(ref.path) / TOKENIZER).read_text(encoding="utf-8")
    other = tmp_path / TOKENIZER
    other.write_text(content.replace('"rain"', '"rein"'), encoding="utf-8")
    encode = TextEncoder(other, classifier.preprocessing())
    exporting.check_tokens(
        classifier, TextEncoder(Path(ref.path) / TOKENIZER, classifier.preprocessing()), ["rain"]
    )
    with pytest.raises(CheckpointError, match="gives other tokens than transformers"):
        exporting.check_tokens(classifier, encode, ["rain"])


def test_graphs_are_read_by_any_onnx_runtime_of_the_opset() -> None:
    model = onnx.load(Pair.of("gpt2").child / "model.onnx")
    assert {o.domain: o.version for o in model.opset_import}[""] == exporting.OPSET
    inputs = open_session(model.SerializeToString(), 1).get_inputs()
    assert [(i.name, i.type, len(i.shape)) for i in inputs] == [("input_ids", "tensor(int64)", 2)]
