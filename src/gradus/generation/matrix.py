"""Matrices of weights, laid out for products with few rows.

Legend: N rows, I inputs, O outputs.

A step multiplies each matrix by as many rows as there are texts, so it costs what reading the
weights costs. oneDNN's own layout is read at the full memory bandwidth, torch's at half of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch.nn.functional import linear

# The rows that oneDNN shall lay out the weights for, where texts are written: with 64 it was as
# fast for 1 and 16 rows as with those numbers themselves, or faster (bench/generate.py).
ROWS = 64


class Product(Protocol):
    """x W' + b, however the weights are kept."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[N, O] of x [N, I]."""
        ...

    def added(self, x: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
        """[N, O] of x [N, I], plus `to` [N, O]."""
        ...


class Words(Protocol):
    """Vectors of tokens, however they are kept."""

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        """[N, d] of ids int64 [N]."""
        ...


class Layout:
    """How a decoder's weights are laid out: all in one dtype, in oneDNN's layout.

    Attributes:
        dtype: of what is multiplied.
        rows: that products are laid out for.
    """

    def __init__(self, dtype: torch.dtype, rows: int = ROWS) -> None:
        self.dtype, self.rows = dtype, rows

    def matrix(self, *parts: Any) -> Product:
        """Of linear layers of the same input, side by side."""
        return Matrix.of(*parts, dtype=self.dtype, rows=self.rows)

    def turned(self, part: Any) -> Product:
        """Of GPT-2's ``Conv1D``, which keeps its weight the other way round."""
        return Matrix([part.weight.t()], [part.bias], self.dtype, self.rows)

    def words(self, part: Any) -> Words:
        """Of an embedding."""
        table = self.vector(part.weight)
        return lambda ids: table[ids]

    def head(self, part: Any) -> Product:
        """Of the vocabulary, by which few rows are multiplied; a scorer reads it in another way."""
        return Late(lambda: Matrix.of(part, dtype=self.dtype))

    def vector(self, weight: torch.Tensor) -> torch.Tensor:
        """Of a norm or a table of positions."""
        return weight.detach().to(self.dtype)


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
        self._bias = joined(biases, dtype)
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


class Late:
    """A product whose weights are laid out when it is first asked for."""

    def __init__(self, make: Callable[[], Product]) -> None:
        self._make: Callable[[], Product] | None = make
        self._made: Product | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[N, O] of x [N, I]."""
        return self._product(x)

    def added(self, x: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
        """[N, O] of x [N, I], plus `to` [N, O]."""
        return self._product.added(x, to)

    @property
    def _product(self) -> Product:
        if self._made is None:
            assert self._make is not None
            self._made, self._make = self._make(), None
        return self._made


def joined(biases: Sequence[Any], dtype: torch.dtype) -> torch.Tensor | None:
    """Biases of matrices side by side; None where they have none."""
    there = [bias for bias in biases if bias is not None]
    return torch.cat([bias.detach() for bias in there]).to(dtype) if there else None


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
