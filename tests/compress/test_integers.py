"""The int8 rewriting against float64 arithmetic by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradus.compress.integers import quantise_columns, quantise_graph
from gradus.predict.onnx import open_session

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

K, M = 24, 8


def graph(
    nodes: list[Any], constants: dict[str, np.ndarray], **inputs: tuple[int, list[Any]]
) -> Any:
    made = onnx.helper.make_graph(
        nodes,
        "g",
        [onnx.helper.make_tensor_value_info(n, *spec) for n, spec in inputs.items()],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(v, n) for n, v in constants.items()],
    )
    return onnx.helper.make_model(
        made, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10
    )


def run(model: Any, **inputs: np.ndarray) -> np.ndarray:
    found: np.ndarray = open_session(model.SerializeToString(), 1).run(None, inputs)[0]
    return found


def by_hand(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Symmetric int8 by token and by column, the sums in float64."""
    steps = np.maximum(np.abs(x).max(-1, keepdims=True), 1e-12) / 127
    scales = np.maximum(np.abs(weights).max(0), 1e-12) / 127
    integers = np.rint(x / steps) @ np.rint(weights / scales)
    return np.asarray(integers * steps * scales)


def product(kind: str) -> tuple[Any, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(7)
    weights = draw.normal(size=(K, M)).astype(np.float32)
    bias = draw.normal(size=M).astype(np.float32)
    if kind == "MatMul":
        node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
        shape: list[Any] = ["n", "l", K]
    else:
        node = onnx.helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
        shape = ["n", K]
    constants = {"w": weights if kind == "MatMul" else weights.T.copy(), "b": bias}
    model = graph([node], constants, x=(onnx.TensorProto.FLOAT, shape))
    return model, weights, bias if kind == "Gemm" else np.zeros(M, dtype=np.float32)


@pytest.mark.parametrize("kind", ["MatMul", "Gemm"])
def test_products_are_those_computed_by_hand(kind: str) -> None:
    model, weights, bias = product(kind)
    shape = (5, 3, K) if kind == "MatMul" else (5, K)
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    x[0] *= 40
    x[1] = 0
    exact = run(model, x=x)
    done = quantise_graph(model)
    assert done.rewritten == {kind: 1}
    assert not any(node.op_type == kind for node in model.graph.node)
    found = run(model, x=x)
    # A value that lies halfway between two integers may be rounded either way in float32.
    np.testing.assert_allclose(found, by_hand(x, weights) + bias, rtol=2e-4, atol=2e-2)
    assert np.abs(found - exact).max() > 0
    error = np.abs(found - exact).reshape(5, -1).max(1)
    size = np.abs(exact - bias).reshape(5, -1).max(1)
    assert (error <= 0.05 * size + 1e-6).all()


def test_a_token_owes_nothing_to_its_neighbours() -> None:
    model, _, _ = product("MatMul")
    quantise_graph(model)
    x = np.random.default_rng(2).normal(size=(4, 3, K)).astype(np.float32)
    loud = x.copy()
    loud[1:] *= 1000
    np.testing.assert_array_equal(run(model, x=x)[0], run(model, x=loud)[0])


def test_products_of_two_activations_stay() -> None:
    node = onnx.helper.make_node("MatMul", ["x", "z"], ["y"])
    spec = (onnx.TensorProto.FLOAT, ["n", "n"])
    model = graph([node], {}, x=spec, z=spec)
    assert not quantise_graph(model).rewritten
    assert [n.op_type for n in model.graph.node] == ["MatMul"]


def test_a_shared_input_is_quantised_once_and_unused_weights_go() -> None:
    draw = np.random.default_rng(0)
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "v"], ["a"]),
        onnx.helper.make_node("MatMul", ["x", "w"], ["b"]),
        onnx.helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    constants = {n: draw.normal(size=(K, M)).astype(np.float32) for n in "vw"}
    model = graph(nodes, constants, x=(onnx.TensorProto.FLOAT, ["n", K]))
    done = quantise_graph(model)
    assert [n.op_type for n in model.graph.node].count("QuantizeLinear") == 1
    names = {i.name for i in model.graph.initializer}
    assert not names & {"v", "w"}
    assert done.kept_parameters < 3 * M


def test_one_matrix_may_be_table_and_weights_both_ways() -> None:
    table = np.random.default_rng(4).normal(size=(K, K)).astype(np.float32)
    nodes = [
        onnx.helper.make_node("Gather", ["t", "ids"], ["e"]),
        onnx.helper.make_node("MatMul", ["e", "t"], ["a"]),
        onnx.helper.make_node("Gemm", ["a", "t"], ["y"], transB=1),
    ]
    model = graph(nodes, {"t": table}, ids=(onnx.TensorProto.INT64, ["n"]))
    ids = np.arange(K)
    exact = run(model, ids=ids)
    assert quantise_graph(model).rewritten == {"Gather": 1, "MatMul": 1, "Gemm": 1}
    assert np.abs(run(model, ids=ids) - exact).max() < 0.03 * np.abs(exact).max()


def test_tables_are_kept_by_row() -> None:
    table = np.random.default_rng(4).normal(size=(50, 6)).astype(np.float32)
    table[3] *= 100
    table[5] = 0
    node = onnx.helper.make_node("Gather", ["t", "ids"], ["y"])
    model = graph([node], {"t": table}, ids=(onnx.TensorProto.INT64, ["n", "l"]))
    quantise_graph(model)
    ids = np.arange(50).reshape(5, 10)
    found = run(model, ids=ids)
    steps = np.abs(table[ids]).max(-1, keepdims=True) / 127
    assert (np.abs(found - table[ids]) <= steps * 0.501).all()


@settings(max_examples=60)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.floats(-1e6, 1e6, width=32),
    ),
    st.sampled_from([63, 127]),
)
def test_no_weight_is_off_by_more_than_half_a_step(weights: np.ndarray, most: int) -> None:
    integers, scales = quantise_columns(weights, most)
    assert integers.dtype == np.int8
    assert np.abs(integers.astype(int)).max() <= most
    back = integers.astype(np.float64) * scales
    assert (np.abs(back - weights) <= 0.5001 * scales + 1e-12).all()
