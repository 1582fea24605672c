"""Scales settled on texts, against brute force and arithmetic by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradus.compress.calibration import BINS, activation_scales, histogram, least_error_clip
from gradus.compress.integers import quantise_graph
from gradus.errors import CheckpointError, DataError

from .classifiers import make_data
from .steps import Pair, quantise
from .test_integers import product, run

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def squared_error(values: np.ndarray, clip: float) -> float:
    step = clip / 127
    kept = np.clip(np.rint(values / step), -127, 127) * step
    return float(((kept - values) ** 2).sum())


@pytest.mark.parametrize("kind", ["normal", "outliers", "uniform"])
def test_the_clip_is_as_good_as_the_best_of_brute_force(kind: str) -> None:
    draw = np.random.default_rng(3)
    values = draw.uniform(-2, 2, 100_000) if kind == "uniform" else draw.normal(size=100_000)
    if kind == "outliers":
        # With one value at c among N others the least of N (s c / 127)^2 / 12 + (c - s c)^2 lies
        # at a share s of about two thirds.
        values[0] = 40
    top = float(np.abs(values).max())
    clip = least_error_clip(histogram(values, top), top)
    best = min(squared_error(values, share * top) for share in np.linspace(0.2, 1, 81))
    assert squared_error(values, clip) <= 1.03 * best
    if kind != "normal":
        assert clip < 0.9 * top if kind == "outliers" else clip == top


def test_a_tensor_of_nothing_but_zeros_has_a_scale() -> None:
    assert least_error_clip(histogram(np.zeros(9), 0.0), 0.0) == 1.0
    assert histogram(np.zeros(9), 0.0).sum() == 9
    assert len(histogram(np.ones(3), 1.0)) == BINS


@pytest.mark.parametrize("kind", ["MatMul", "Gemm"])
def test_settled_products_are_those_computed_by_hand(kind: str) -> None:
    model, weights, bias = product(kind)
    x = np.random.default_rng(1).normal(size=(6, *([3] * (kind == "MatMul")), len(weights)))
    x = x.astype(np.float32)
    scale = 0.02
    quantise_graph(model, scales={"x": scale})
    assert "ReduceMax" not in {node.op_type for node in model.graph.node}
    columns = np.abs(weights).max(0) / 127
    integers = np.clip(np.rint(x.astype(np.float64) / np.float32(scale)), -128, 127)
    expected = integers @ np.rint(weights / columns) * scale * columns + bias
    # A value that lies halfway between two integers may be rounded either way in float32.
    np.testing.assert_allclose(run(model, x=x), expected, rtol=2e-4, atol=2e-2)


def test_scales_come_from_what_flows_through_the_graph() -> None:
    table = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    table[8] = 5.0
    weights = np.ones((4, 2), dtype=np.float32)
    nodes = [
        onnx.helper.make_node("Gather", ["t", "input_ids"], ["e"]),
        onnx.helper.make_node("MatMul", ["e", "w"], ["y"]),
    ]
    from .test_integers import graph

    made = graph(nodes, {"t": table, "w": weights}, input_ids=(onnx.TensorProto.INT64, ["n", "l"]))
    (low,) = activation_scales(made, [[0, 1, 2], [3]]).values()
    (high,) = activation_scales(made, [[0, 1, 2], [8, 8, 8]]).values()
    greatest = float(np.abs(table[:4]).max())
    assert low <= greatest / 127 < high <= 5 / 127 * 1.0001
    with pytest.raises(CheckpointError, match="no texts"):
        activation_scales(made, [])


def test_calibrated_on_train_alone(tmp_path: Path) -> None:
    pair, data = Pair.of("bert"), make_data()
    outcome = quantise(pair.parent, tmp_path, data=data, scheme="int8-static", data_name="toy")
    facts = outcome.facts
    assert facts["calibrated_on"] == "toy"
    # Some of train's toy texts stand in dev.select as well, as short texts do; none of them counts.
    shared = set(data.train.texts) & set(data.select.texts)
    assert facts["calibration_left_out"] == sum(t in shared for t in data.train.texts)
    assert facts["calibration_texts"] == len(data.train) - facts["calibration_left_out"]
    assert facts["parity"][0]["handoff"] == "int8-static"


def test_texts_of_dev_or_test_are_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    from gradus.data.splits import content_id

    data = make_data()
    other = replace(data, name="other")
    held = replace(data, held={"test": [content_id(data.train.texts[5])]})
    with pytest.raises(DataError, match=r"stand in toy too, the first in (test|dev.select)"):
        quantise(
            Pair.of("bert").parent,
            tmp_path,
            data=held,
            others={"other": other},
            scheme="int8-static",
            data_name="toy",
            calibration={"data": "other"},
        )
    with pytest.raises(DataError, match="name the data set"):
        quantise(Pair.of("bert").parent, tmp_path, scheme="int8-static")
