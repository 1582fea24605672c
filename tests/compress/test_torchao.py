"""Weights held by torchao: the arithmetic by hand, the files, and what is refused.

Legend: n texts of L tokens each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gradus.checkpoints import open_checkpoint
from gradus.compress.classifier import load_classifier
from gradus.compress.torchao_int8 import TorchaoInt8
from gradus.compress.torchao_module import WEIGHTS
from gradus.compress.torchao_module import quantise as turn
from gradus.errors import CheckpointError
from gradus.predict import load
from gradus.training import models, shapes

from .classifiers import make_classifier, make_data, make_texts
from .steps import quantise
from .test_tagger import LONG, checkpoint

pytest.importorskip("torchao")
TEXTS = make_texts(40, seed=5)


def by_hand(product: nn.Linear, x: torch.Tensor) -> np.ndarray:
    """Rows of weights and of x in whole numbers from -127 to 127 by their greatest, in float64."""

    def whole(rows: np.ndarray) -> np.ndarray:
        scale = np.abs(rows).max(1, keepdims=True) / 127.5
        return np.clip(np.round(rows / scale), -128, 127) * scale

    weights = whole(product.weight.detach().double().numpy())
    out: np.ndarray = whole(x.double().numpy()) @ weights.T + product.bias.detach().double().numpy()
    return out


def test_a_product_is_that_of_whole_numbers() -> None:
    draw = torch.Generator().manual_seed(3)
    product = nn.Linear(48, 24)
    x = torch.randn(7, 48, generator=draw)
    expected, exact = by_hand(product, x), product(x).detach().double().numpy()
    holder = nn.Sequential(product)
    assert turn(holder) == 1
    found = holder(x).detach().double().numpy()
    # A value that lies between two whole numbers may go either way in float32.
    assert np.median(np.abs(found - expected)) < 1e-6
    assert np.abs(found - expected).max() < 0.01
    # The rounding is seen: a product that was left alone would fail here.
    assert np.median(np.abs(found - exact)) > 1e-4


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "llama"])
def test_a_checkpoint_says_what_the_module_said(family: str, tmp_path: Path) -> None:
    parent = make_classifier(family, tmp_path / "parent")
    outcome = quantise(parent, tmp_path / "small", data=make_data(), scheme="torchao-int8")
    assert outcome.checkpoint is not None
    small = load(open_checkpoint(outcome.checkpoint))
    assert (small.kind, small.predictor.contract["dtype"]) == ("torchao", "int8")
    classifier = load_classifier(parent)
    turn(classifier.module.backbone)
    with torch.inference_mode():
        logits = torch.cat(
            [classifier.module(torch.tensor([row])) for row in classifier.encode(TEXTS)]
        )
    expected = logits.double().log_softmax(1).numpy()
    assert np.abs(small.predictor.say(TEXTS) - expected).max() < 1e-5
    assert np.abs(load(parent).predictor.say(TEXTS) - expected).max() > 1e-4
    alone = np.concatenate([small.predictor.say([text]) for text in TEXTS])
    assert np.abs(alone - expected).max() < 1e-5
    assert outcome.facts["size_ratio"] < 0.75
    assert outcome.facts["products"] == sum(
        isinstance(m, nn.Linear) for m in models.load_model(parent).modules()
    )


def test_taggers_say_the_same_spans_but_for_rounding(tmp_path: Path) -> None:
    parent = checkpoint(tmp_path, "bert")
    outcome = quantise(parent, tmp_path / "small", scheme="torchao-int8")
    assert outcome.checkpoint is not None
    small, before = load(open_checkpoint(outcome.checkpoint)), load(parent)
    texts = [LONG, "Peter Blackburn lives in York .", ""]
    found, expected = small.predictor.spans(texts), before.predictor.spans(texts)
    said, true = ({(i, s) for i, of in enumerate(x) for s in of} for x in (found, expected))
    assert len(true) > 5
    assert len(said & true) / len(said | true) > 0.9
    assert [small.predictor.spans([text])[0] for text in texts] == found


def test_a_pruned_model_is_built_in_its_own_sizes(tmp_path: Path) -> None:
    classifier = load_classifier(make_classifier("bert", tmp_path / "parent"))
    shapes.resize(classifier.module.backbone, [shapes.Size(2, 32), shapes.Size(4, 48)])
    folder = tmp_path / "small"
    folder.mkdir()
    from gradus.compress.base import Material
    from gradus.compress.torchao_module import read

    made = TorchaoInt8().write(classifier, folder, material=Material(texts=TEXTS))
    ids = torch.tensor([classifier.encode(["rain again today"])[0]])
    again: Any = read(folder, made.preprocessing, classifier.manifest.labels)
    with torch.inference_mode():
        assert torch.equal(again(ids), classifier.module(ids))


def test_matrices_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gpt2 keeps its matrices.*int8-dynamic"):
        quantise(
            make_classifier("gpt2", tmp_path / "parent"), tmp_path / "s", scheme="torchao-int8"
        )


def test_weights_that_were_cut_off_are_refused(tmp_path: Path) -> None:
    parent = make_classifier("bert", tmp_path / "parent")
    outcome = quantise(parent, tmp_path / "small", scheme="torchao-int8")
    assert outcome.checkpoint is not None
    ref = open_checkpoint(outcome.checkpoint)
    file = outcome.checkpoint / WEIGHTS
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"can't be read.*copy"):
        load(ref, verify=False)
