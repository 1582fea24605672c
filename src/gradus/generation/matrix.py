"""Matrices of weights, laid out for products with few rows.

Legend: N rows, I inputs, O outputs.

A step multiplies each matrix by as many rows as there are texts, so it costs what reading the
weights costs. oneDNN's own layout is read at the full memory bandwidth, torch's at half of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import linear

# The rows that oneDNN shall lay out the weights for, where texts are written: with 64 it was as
# fast for 1 and 16 rows as with those numbers themselves, or faster (bench/generate.py).
ROWS = 64


class Matrix:
    """x W' + b, for W [O, I] and b [O] or None, in one dtype."""

    def __init__(
        self,
        weights: Sequence[torch.Tensor],
        biases: Sequence[Any],
        dtype: Any,
        rows: int = ROWS,
    ) -> None:
        """Lay out the weights [O, I] of one input one after the other, and their biases."""
        whole = torch.cat([weight.detach() for weight in weights]).to(dtype)
        there = [bias for bias in biases if bias is not None]
        self._bias = torch.cat([bias.detach() for bias in there]).to(dtype) if there else None
        self._packed = _pack(whole, rows)
        self._plain = whole if self._packed is None else None

    @classmethod
    def of(cls, *parts: Any, dtype: torch.dtype, rows: int = ROWS) -> Matrix:
        """Of linear layers of the same input, side by side, for products with `rows` rows."""
        return cls([part.weight for part in parts], [part.bias for part in parts], dtype, rows)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[N, O] of x [N, I]."""
        if self._plain is not None:
            return linear(x, self._plain, self._bias)
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self._packed, self._bias, "none", [], ""
        )
        return found

    def added(self, x: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
        """[N, O] of x [N, I], plus `to` [N, O]."""
        if self._plain is not None:
            return to + linear(x, self._plain, self._bias)
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            x, to, self._packed, self._bias, "add"
        )
        return found


def _pack(weight: torch.Tensor, rows: int) -> torch.Tensor | None:
    """The weights in oneDNN's layout; None where this torch or this processor has none."""
    mkldnn: Any = torch.backends.mkldnn
    if not mkldnn.is_available() or weight.device.type != "cpu":
        return None
    try:
        packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
        # A dtype that the processor has no products for is found out by trying.
        torch.ops.mkldnn._linear_pointwise(weight[:1] * 0, packed, None, "none", [], "")
    except (AttributeError, RuntimeError):
        return None
    return packed
