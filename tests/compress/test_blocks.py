"""Four-bit blocks against an unpacking by hand, and against ONNX Runtime's own arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradus.compress.blocks import BLOCK, quantise_blocks, restore_blocks
from gradus.compress.integers import quantise_graph

from .test_integers import product, run

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def unpacked(packed: np.ndarray, scales: np.ndarray, k: int) -> np.ndarray:
    """Nibble by nibble, the low one first."""
    m, blocks, half = packed.shape
    found = np.zeros((m, blocks * 2 * half))
    for row in range(m):
        for block in range(blocks):
            for i in range(2 * half):
                byte = int(packed[row, block, i // 2])
                nibble = byte % 16 if i % 2 == 0 else byte // 16
                found[row, block * 2 * half + i] = (nibble - 8) * float(scales[row, block])
    return found[:, :k].T


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 70), st.integers(1, 3)),
        elements=st.floats(-1e4, 1e4, width=32),
    )
)
def test_no_weight_is_off_by_more_than_clipping_and_half_a_step(weights: np.ndarray) -> None:
    packed, scales = quantise_blocks(weights)
    k = len(weights)
    back = restore_blocks(packed, scales, k)
    np.testing.assert_allclose(back, unpacked(packed, scales, k), rtol=1e-6)
    steps = np.repeat(np.abs(scales).T, BLOCK, axis=0)[:k]
    greatest = steps * 8 / 0.7 + 1e-6
    assert (np.abs(back - weights) <= np.maximum(0.5 * steps, 0.4 * greatest) + 1e-6).all()
    # The clip is kept only where it helps: never worse than no clipping at all.
    plain = np.zeros_like(weights, dtype=np.float64)
    for start in range(0, k, BLOCK):
        rows = weights[start : start + BLOCK].astype(np.float64)
        top = np.take_along_axis(rows, np.abs(rows).argmax(0)[None], 0)
        scale = np.where(np.abs(top) < 8e-12, 1e-12, -top / 8)
        plain[start : start + BLOCK] = np.clip(np.rint(rows / scale), -8, 7) * scale
    ours, theirs = ((back - weights) ** 2).sum(), ((plain - weights) ** 2).sum()
    assert ours <= theirs * 1.001 + 1e-9 * (1 + (weights.astype(np.float64) ** 2).sum())


@pytest.mark.parametrize("kind", ["MatMul", "Gemm"])
def test_the_runtime_reads_them_as_they_are_meant(kind: str) -> None:
    model, weights, bias = product(kind)
    assert quantise_graph(model, form="int4-weights").rewritten == {kind: 1}
    x = np.random.default_rng(1).normal(size=(5, *([3] * (kind == "MatMul")), len(weights)))
    x = x.astype(np.float32)
    packed, scales = quantise_blocks(weights)
    expected = x.astype(np.float64) @ unpacked(packed, scales, len(weights)) + bias
    np.testing.assert_allclose(run(model, x=x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["MatMul", "Gemm"])
def test_weights_alone_in_eight_bits_leave_activations_alone(kind: str) -> None:
    model, weights, bias = product(kind)
    quantise_graph(model, form="int8-weights")
    x = np.random.default_rng(1).normal(size=(5, *([3] * (kind == "MatMul")), len(weights)))
    x = x.astype(np.float32)
    scales = np.abs(weights).max(0) / 127
    expected = x.astype(np.float64) @ (np.rint(weights / scales) * scales) + bias
    np.testing.assert_allclose(run(model, x=x), expected, rtol=1e-4, atol=1e-4)


def test_single_products_take_their_own_form() -> None:
    model, _, _ = product("MatMul")
    assert not quantise_graph(model, forms={"w": "float32"}).rewritten
    quantise_graph(model, forms={"w": "int4-weights"})
    assert [node.op_type for node in model.graph.node] == ["MatMulNBits"]
