"""Rewriting an ONNX graph so that matrix products run in int8 and embeddings are kept in int8.

Legend: T tokens (all of a batch), k inner size, m outer size, V rows of a table, d their width.

A product ``x @ W`` with x float32 [T, k] and constant W [k, m] becomes
``(quantise(x) @ quantise(W)) * s_x * s_W``, the sum in int32. Weights have one scale a column (m
scales), settled here. Activations have one scale a token (T scales), taken from the token itself
when it comes by (Dettmers et al. 2022, "vector-wise"; Yao et al. 2022, "token-wise"), so that no
text's result depends on those that it shares a batch with, as it does with ONNX's
DynamicQuantizeLinear, which takes one scale from the whole batch.

The activations' integers are unsigned with zero at 128, the weights' signed: the pairing that
processors multiply fastest. Scales are symmetric.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

_MICROSOFT: Final = "com.microsoft"
_STEPS: Final = 127
_ZERO: Final = 128
# A token of nothing but zeros gets this scale, since it may not be nought.
_LEAST_SCALE: Final = 1e-12
# Smaller tables (token types) aren't worth two more nodes.
_LEAST_ROWS: Final = 16


@dataclass(slots=True)
class Rewritten:
    """How many nodes were rewritten, and which weights stayed float32, in parameters."""

    rewritten: Counter[str] = field(default_factory=Counter)
    kept_parameters: int = 0


def quantise_columns(weights: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """int8 [k, m] in -`most` .. `most` and float32 [m] scales of weights [k, m]."""
    scales = np.maximum(np.abs(weights).max(axis=0), _LEAST_SCALE) / most
    rounded = np.clip(np.rint(weights / scales), -most, most).astype(np.int8)
    return rounded, scales.astype(np.float32)


def quantise_graph(model: Any, *, most: int = 127) -> Rewritten:
    """Rewrite MatMul, Gemm and Gather nodes with constant float32 weights, in place.

    Args:
        model: an onnx.ModelProto whose MatMul inputs have at least two axes.
        most: greatest magnitude of a weight's integer. 63 instead of 127 where the processor sums
            pairs of products in 16 bits (x86 without VNNI), which 127 would overflow.
    """
    rewriter = _Rewriter(model.graph, most)
    rewriter.run()
    if not any(opset.domain == _MICROSOFT for opset in model.opset_import):
        opset = model.opset_import.add()
        opset.domain, opset.version = _MICROSOFT, 1
    return rewriter.result


class _Rewriter:
    def __init__(self, graph: Any, most: int) -> None:
        import onnx

        self.onnx, self.graph, self.most = onnx, graph, most
        self.result = Rewritten()
        self.weights = {i.name: i for i in graph.initializer}
        self.quantised: dict[str, tuple[str, str]] = {}
        self.inputs: dict[str, tuple[str, str]] = {}
        self.nodes: list[Any] = []

    def run(self) -> None:
        """Replace nodes in order, then drop the weights that nobody uses any more."""
        self._constant("steps", np.array(1 / _STEPS, dtype=np.float32))
        self._constant("least", np.array(_LEAST_SCALE, dtype=np.float32))
        self._constant("one", np.array(1, dtype=np.float32))
        self._constant("zero", np.array(_ZERO, dtype=np.uint8))
        self._constant("last", np.array([-1], dtype=np.int64))
        for node in self.graph.node:
            made = list(self._replacement(node))
            if made:
                self.result.rewritten[node.op_type] += 1
            self.nodes += made or [node]
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        used = {name for node in self.graph.node for name in node.input}
        kept = [i for i in self.graph.initializer if i.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)
        del self.graph.value_info[:]
        floats = [i for i in kept if i.data_type == self.onnx.TensorProto.FLOAT]
        self.result.kept_parameters = sum(int(np.prod(i.dims)) for i in floats)

    def _constant(self, name: str, value: np.ndarray) -> str:
        full = f"gradus_{name}"
        if full not in self.weights:
            self.weights[full] = self.onnx.numpy_helper.from_array(value, full)
            self.graph.initializer.append(self.weights[full])
        return full

    def _matrix(self, name: str) -> np.ndarray | None:
        """The constant float32 matrix of that name, if it is one."""
        found = self.weights.get(name)
        if found is None or len(found.dims) != 2:
            return None
        if found.data_type != self.onnx.TensorProto.FLOAT:
            return None
        values: np.ndarray = self.onnx.numpy_helper.to_array(found)
        return values

    def _replacement(self, node: Any) -> Iterator[Any]:
        match node.op_type:
            case "MatMul":
                yield from self._product(node, node.input[0], node.input[1], None, False)
            case "Gemm":
                options = {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}
                plain = (options.get("alpha", 1.0), options.get("beta", 1.0)) == (1.0, 1.0)
                if plain and not options.get("transA"):
                    bias = node.input[2] if len(node.input) > 2 else None
                    transposed = bool(options.get("transB"))
                    x, weights = node.input[:2]
                    yield from self._product(node, x, weights, bias, transposed)
            case "Gather":
                axis = [a.i for a in node.attribute if a.name == "axis"]
                if not any(axis):
                    yield from self._lookup(node)

    def _product(
        self, node: Any, x: str, weights: str, bias: str | None, transposed: bool
    ) -> Iterator[Any]:
        matrix = self._matrix(weights)
        if matrix is None:
            return
        make = self.onnx.helper.make_node
        stem = f"{weights}_transposed" if transposed else weights
        if stem not in self.quantised:
            integers, scales = quantise_columns(matrix.T if transposed else matrix, self.most)
            integers_name = self._constant(f"{stem}_int8", integers)
            self.quantised[stem] = integers_name, self._constant(f"{stem}_scale", scales)
        integers_name, scales_name = self.quantised[stem]
        if x not in self.inputs:
            yield from self._quantised_input(x)
        quantised, scale = self.inputs[x]
        out = node.output[0]
        yield make(
            "MatMulIntegerToFloat",
            [quantised, integers_name, "gradus_one", scales_name, "gradus_zero"],
            [f"{out}_unscaled"],
            domain=_MICROSOFT,
        )
        scaled = out if bias is None else f"{out}_unbiased"
        yield make("Mul", [f"{out}_unscaled", scale], [scaled])
        if bias is not None:
            yield make("Add", [scaled, bias], [out])

    def _quantised_input(self, x: str) -> Iterator[Any]:
        """`x` in uint8 with its scale a token, which has one axis of size 1 in the place of k."""
        make = self.onnx.helper.make_node
        scale, quantised = f"{x}_scale", f"{x}_uint8"
        yield make("Abs", [x], [f"{x}_abs"])
        yield make("ReduceMax", [f"{x}_abs", "gradus_last"], [f"{x}_max"], keepdims=1)
        yield make("Mul", [f"{x}_max", "gradus_steps"], [f"{x}_step"])
        yield make("Max", [f"{x}_step", "gradus_least"], [scale])
        yield make("Div", [x, scale], [f"{x}_steps"])
        yield make("QuantizeLinear", [f"{x}_steps", "gradus_one", "gradus_zero"], [quantised])
        self.inputs[x] = quantised, scale

    def _lookup(self, node: Any) -> Iterator[Any]:
        """A table's rows in int8, each with its own scale."""
        table, ids = node.input
        matrix = self._matrix(table)
        if matrix is None or len(matrix) < _LEAST_ROWS:
            return
        make = self.onnx.helper.make_node
        integers, scales = quantise_columns(matrix.T, 127)
        rows = self._constant(f"{table}_rows_int8", np.ascontiguousarray(integers.T))
        steps = self._constant(f"{table}_rows_scale", scales[:, None])
        out = node.output[0]
        yield make("Gather", [rows, ids], [f"{out}_row_int8"])
        yield make("Gather", [steps, ids], [f"{out}_row_scale"])
        yield make(
            "Cast", [f"{out}_row_int8"], [f"{out}_row_steps"], to=self.onnx.TensorProto.FLOAT
        )
        yield make("Mul", [f"{out}_row_steps", f"{out}_row_scale"], [out])
