"""Matrices of 8- and 4-bit integers in a decoder: a step reads half or a quarter of bfloat16.

Legend: N rows, I inputs, O outputs.

Only weights are integers. What they are multiplied by is bfloat16, sums are float32. For few rows
torch's kernels read the integers as they are; for many the weights are taken out into bfloat16
first, a matrix at a time, which costs little beside that many products and no memory that stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch.nn.functional import linear

from gradus.compress.language.rounding import Rounded
from gradus.generation.matrix import Layout, Product, Words, joined

FEW: Final = 16
"""Rows up to which the integers themselves are multiplied."""
# torch's kernels read so many columns at a time, and check it for 4 bits alone: beyond the end of
# a matrix whose rows aren't so long lies other memory.
_COLUMNS_8, _COLUMNS_4, _ROWS_4 = 16, 32, 16
_GROUPS_4 = (32, 64, 128, 256)


class IntegerMatrix:
    """x W' + b, for W [O, I] of integers with scales and b [O] or None, in bfloat16."""

    def __init__(self, weights: Rounded, bias: torch.Tensor | None = None) -> None:
        """Lay out the integers."""
        self._weights, self._bias = weights, bias
        self._packed: torch.Tensor | None = None
        self._scales = weights.scales.t()
        rows, columns = weights.values.shape
        if weights.bits == 8 and weights.group == columns and columns % _COLUMNS_8 == 0:
            self._packed = weights.values.contiguous()
            self._scales = weights.scales[:, 0].to(torch.bfloat16).contiguous()
        elif (
            weights.bits == 4
            and weights.group in _GROUPS_4
            and columns % _COLUMNS_4 == 0
            and rows % _ROWS_4 == 0
        ):
            unsigned = (weights.values.to(torch.int32) + 8).contiguous()
            self._packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(unsigned, 1)
            scales = weights.scales.t()
            both = torch.stack([scales, torch.zeros_like(scales)], dim=-1)
            self._scales = both.to(torch.bfloat16).contiguous()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[N, O] of x [N, I]."""
        if self._packed is None or len(x) > FEW:
            return self._taken_out(x)
        if self._weights.bits == 4:
            found: torch.Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(
                x.contiguous(), self._packed, self._weights.group, self._scales
            )
        else:
            found = torch.ops.aten._weight_int8pack_mm(x.contiguous(), self._packed, self._scales)
        return found if self._bias is None else found.add_(self._bias)

    def added(self, x: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
        """[N, O] of x [N, I], plus `to` [N, O]."""
        return self(x).add_(to)

    def _taken_out(self, x: torch.Tensor) -> torch.Tensor:
        """[N, O] of x [N, I], with the weights in the dtype of x for as long as it takes."""
        if self._weights.scales.shape[1] > 1:
            return linear(x, self._weights.weights(x.dtype), self._bias)
        # Integers of 8 bits are exact in bfloat16; a scale a row can wait for the product.
        found = linear(x, self._weights.values.to(x.dtype)).mul_(self._weights.scales[:, 0])
        return found if self._bias is None else found.add_(self._bias)


class IntegerLayout(Layout):
    """A decoder's weights where some modules have theirs as integers; the others are bfloat16."""

    def __init__(self, model: Any, integers: Mapping[str, Rounded]) -> None:
        """`integers` are by their parameters' names in `model`."""
        super().__init__(torch.bfloat16)
        by_weight = {id(p): integers[name] for name, p in _parameters(model) if name in integers}
        self._of = {
            id(module): by_weight[id(module.weight)]
            for module in model.modules()
            if id(getattr(module, "weight", None)) in by_weight
        }

    def matrix(self, *parts: Any) -> Product:
        """See `Layout.matrix`."""
        found = [self._of.get(id(part)) for part in parts]
        there = [one for one in found if one is not None]
        if len(there) < len(found) or len({(one.bits, one.group) for one in there}) > 1:
            return super().matrix(*parts)
        bias = joined([part.bias for part in parts], self.dtype)
        return IntegerMatrix(Rounded.stacked(there), bias)

    def turned(self, part: Any) -> Product:
        """See `Layout.turned`; integers are [O, I] already."""
        return self.matrix(part) if id(part) in self._of else super().turned(part)

    def words(self, part: Any) -> Words:
        """See `Layout.words`."""
        found = self._of.get(id(part))
        if found is None:
            return super().words(part)
        return lambda ids: found.rows(ids, self.dtype)

    def head(self, part: Any) -> Product:
        """See `Layout.head`."""
        return self.matrix(part) if id(part) in self._of else super().head(part)


def _parameters(model: Any) -> list[tuple[str, torch.Tensor]]:
    """Names and parameters; one that two modules share stands there under both names."""
    return list(model.named_parameters(remove_duplicate=False))
