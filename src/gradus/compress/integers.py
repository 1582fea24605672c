"""Rewriting an ONNX graph so that matrix products run in int8 and embeddings are kept in int8.

Legend: T tokens (all of a batch), k inner size, m outer size, V rows of a table, d their width.

A product ``x @ W`` with x float32 [T, k] and constant W [k, m] becomes
``(quantise(x) @ quantise(W)) * s_x * s_W``, the sum in int32. Weights have one scale a column (m
scales), settled here. Activations have one scale a token (T scales), taken from the token itself
when it comes by (Dettmers et al. 2022, "vector-wise"; Yao et al. 2022, "token-wise"), so that no
text's result depends on those that it shares a batch with, as it does with ONNX's
DynamicQuantizeLinear, which takes one scale from the whole batch.

With `scales` a tensor of activations has one scale, settled beforehand, and nothing is looked up.

The activations' integers are unsigned with zero at 128, the weights' signed: the pairing that
processors multiply fastest. Scales are symmetric.

A product may take another form instead (`Form`): weights alone in int8, turned back to float32 when
the graph is loaded; weights alone in int4, a scale for every 32 of a column; or float32 as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from gradus.compress.blocks import BLOCK, quantise_blocks

Form = Literal["int8", "int8-weights", "int4-weights", "float32"]
"""What becomes of a product with constant weights."""

_MICROSOFT: Final = "com.microsoft"
STEPS: Final = 127
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


def quantise_graph(
    model: Any,
    *,
    most: int = 127,
    scales: Mapping[str, float] | None = None,
    form: Form = "int8",
    forms: Mapping[str, Form] | None = None,
) -> Rewritten:
    """Rewrite MatMul, Gemm and Gather nodes with constant float32 weights, in place.

    Args:
        model: an onnx.ModelProto whose MatMul inputs have at least two axes.
        most: greatest magnitude of a weight's integer. 63 instead of 127 where the processor sums
            pairs of products in 16 bits (x86 without VNNI), which 127 would overflow.
        scales: of activations, by the name of their tensor; others are scaled token by token.
        form: of products.
        forms: of single products instead, by the name of their weights.
    """
    rewriter = _Rewriter(model.graph, most, scales or {}, form, forms or {})
    rewriter.run()
    if not any(opset.domain == _MICROSOFT for opset in model.opset_import):
        opset = model.opset_import.add()
        opset.domain, opset.version = _MICROSOFT, 1
    return rewriter.result


def products(model: Any) -> dict[str, str]:
    """The weights of every product that `quantise_graph` rewrites, by name, with its input."""
    rewriter = _Rewriter(model.graph, STEPS, {}, "float32", {})
    found: dict[str, str] = {}
    for node in model.graph.node:
        match rewriter.product_of(node):
            case (x, weights, _, _):
                found.setdefault(weights, x)
    return found


def inputs_of_products(model: Any) -> list[str]:
    """The tensors that enter products with constant weights, each once."""
    return list(dict.fromkeys(products(model).values()))


class _Rewriter:
    def __init__(
        self,
        graph: Any,
        most: int,
        scales: Mapping[str, float],
        form: Form,
        forms: Mapping[str, Form],
    ) -> None:
        import onnx

        self.onnx, self.graph, self.most = onnx, graph, most
        self.scales, self.form, self.forms = scales, form, forms
        self.result = Rewritten()
        self.weights = {i.name: i for i in graph.initializer}
        self.quantised: dict[str, tuple[str, str]] = {}
        self.inputs: dict[str, tuple[str, str]] = {}
        self.nodes: list[Any] = []

    def run(self) -> None:
        """Replace nodes in order, then drop the weights that nobody uses any more."""
        self._constant("steps", np.array(1 / STEPS, dtype=np.float32))
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

    def product_of(self, node: Any) -> tuple[str, str, str | None, bool] | None:
        """Input, constant weights, bias and whether the weights are transposed; None otherwise."""
        x, weights, bias, transposed = "", "", None, False
        match node.op_type:
            case "MatMul":
                x, weights = node.input
            case "Gemm":
                options = {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}
                if (options.get("alpha", 1.0), options.get("beta", 1.0)) != (1.0, 1.0):
                    return None
                if options.get("transA"):
                    return None
                bias = node.input[2] if len(node.input) > 2 else None
                transposed = bool(options.get("transB"))
                x, weights = node.input[:2]
        return (x, weights, bias, transposed) if self._matrix(weights) is not None else None

    def _replacement(self, node: Any) -> Iterator[Any]:
        found = self.product_of(node)
        if found is not None:
            yield from self._product(node.output[0], *found)
        elif node.op_type == "Gather" and not any(a.i for a in node.attribute if a.name == "axis"):
            yield from self._lookup(node)

    def _product(
        self, out: str, x: str, weights: str, bias: str | None, transposed: bool
    ) -> Iterator[Any]:
        values = self._matrix(weights)
        assert values is not None  # product_of has looked
        matrix = values.T if transposed else values
        stem = f"{weights}_transposed" if transposed else weights
        match self.forms.get(weights, self.form):
            case "int8":
                yield from self._integer_product(out, x, stem, matrix, bias)
            case "int8-weights":
                integers, scales = self._columns(stem, matrix)
                # Spelled out, and folded at loading: DequantizeLinear before a product would
                # be taken for leave to round the activations, too.
                whole = self.onnx.TensorProto.FLOAT
                yield self._node("Cast", [integers], f"{out}_integers", to=whole)
                yield self._node("Mul", [f"{out}_integers", scales], f"{out}_weights")
                yield from self._biased("MatMul", [x, f"{out}_weights"], out, bias)
            case "int4-weights":
                yield from self._block_product(out, x, stem, matrix, bias)

    def _node(self, kind: str, inputs: list[str], out: str, **attributes: Any) -> Any:
        return self.onnx.helper.make_node(kind, inputs, [out], **attributes)

    def _biased(
        self, kind: str, inputs: list[str], out: str, bias: str | None, **attributes: Any
    ) -> Iterator[Any]:
        """A node, and another that adds the bias where there is one."""
        yield self._node(kind, inputs, out if bias is None else f"{out}_unbiased", **attributes)
        if bias is not None:
            yield self._node("Add", [f"{out}_unbiased", bias], out)

    def _columns(self, stem: str, matrix: np.ndarray) -> tuple[str, str]:
        """Names of the int8 weights and of their scales, one a column."""
        if stem not in self.quantised:
            integers, scales = quantise_columns(matrix, self.most)
            name = self._constant(f"{stem}_int8", integers)
            self.quantised[stem] = name, self._constant(f"{stem}_scale", scales)
        return self.quantised[stem]

    def _block_product(
        self, out: str, x: str, stem: str, matrix: np.ndarray, bias: str | None
    ) -> Iterator[Any]:
        if stem not in self.quantised:
            packed, scales = quantise_blocks(matrix)
            name = self._constant(f"{stem}_int4", packed)
            self.quantised[stem] = name, self._constant(f"{stem}_scale", scales.ravel())
        inputs = [x, *self.quantised[stem]]
        sizes = {"K": matrix.shape[0], "N": matrix.shape[1], "bits": 4, "block_size": BLOCK}
        yield from self._biased("MatMulNBits", inputs, out, bias, domain=_MICROSOFT, **sizes)

    def _integer_product(
        self, out: str, x: str, stem: str, matrix: np.ndarray, bias: str | None
    ) -> Iterator[Any]:
        integers, scales = self._columns(stem, matrix)
        if x not in self.inputs:
            settled = x in self.scales
            yield from self._settled_input(x) if settled else self._quantised_input(x)
        quantised, scale = self.inputs[x]
        if x in self.scales:
            # One scale a tensor can be multiplied in, and the bias added, by the node itself.
            given = [quantised, integers, scale, scales, "gradus_zero", "", bias or ""]
            yield self._node("MatMulIntegerToFloat", given, out, domain=_MICROSOFT)
            return
        given = [quantised, integers, "gradus_one", scales, "gradus_zero"]
        yield self._node("MatMulIntegerToFloat", given, f"{out}_unscaled", domain=_MICROSOFT)
        yield from self._biased("Mul", [f"{out}_unscaled", scale], out, bias)

    def _settled_input(self, x: str) -> Iterator[Any]:
        """`x` in uint8 under the one scale that was settled for it."""
        least = max(self.scales[x], _LEAST_SCALE)
        scale = self._constant(f"{x}_settled", np.array(least, dtype=np.float32))
        yield self._node("QuantizeLinear", [x, scale, "gradus_zero"], f"{x}_uint8")
        self.inputs[x] = f"{x}_uint8", scale

    def _quantised_input(self, x: str) -> Iterator[Any]:
        """`x` in uint8 with its scale a token, which has one axis of size 1 in the place of k."""
        scale, quantised = f"{x}_scale", f"{x}_uint8"
        yield self._node("Abs", [x], f"{x}_abs")
        yield self._node("ReduceMax", [f"{x}_abs", "gradus_last"], f"{x}_max", keepdims=1)
        yield self._node("Mul", [f"{x}_max", "gradus_steps"], f"{x}_step")
        yield self._node("Max", [f"{x}_step", "gradus_least"], scale)
        yield self._node("Div", [x, scale], f"{x}_steps")
        yield self._node("QuantizeLinear", [f"{x}_steps", "gradus_one", "gradus_zero"], quantised)
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
