"""Weights as small integers with scales.

Legend: O outputs (rows), I inputs (columns), g columns of a group, G = I / g groups of a row.

A weight is ``value * scale`` of its row, or of its group in the row; zero is always 0, and nothing
is added, so that a product of integers is a product of weights up to one factor. Scales are
bfloat16 numbers held as float32: kernels that take them in bfloat16 then compute with exactly the
weights that are stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import torch

Bits = Literal[4, 8]

GROUP: Final = 32
"""Columns of a group of 4-bit weights; with whole rows 4 bits are too few."""
# Scales tried for 4 bits, as shares of the one that loses no weight at the edge: the error is
# flat beyond, where edges are cut off.
_SHARES: Final = tuple(1.0 - 0.02 * step for step in range(16))


@dataclass(frozen=True, slots=True)
class Rounded:
    """A matrix of weights as integers.

    Attributes:
        values: int8 [O, I], within ±127 for 8 bits and -8 to 7 for 4.
        scales: float32 [O, G]; G is 1 where a row has one scale.
        bits: of a weight.
    """

    values: torch.Tensor
    scales: torch.Tensor
    bits: Bits

    @property
    def group(self) -> int:
        """Columns that share a scale."""
        return self.values.shape[1] // self.scales.shape[1]

    def weights(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """[O, I], what the integers stand for."""
        rows, columns = self.values.shape
        parts = self.values.view(rows, -1, self.group).to(torch.float32)
        return (parts * self.scales[:, :, None]).view(rows, columns).to(dtype)

    def rows(self, ids: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """[n, I], the weights of rows `ids` (int64 [n]): an embedding."""
        return Rounded(self.values[ids], self.scales[ids], self.bits).weights(dtype)

    @staticmethod
    def stacked(parts: list[Rounded]) -> Rounded:
        """Matrices of the same input, one below the other."""
        return Rounded(
            torch.cat([part.values for part in parts]),
            torch.cat([part.scales for part in parts]),
            parts[0].bits,
        )


def rounded(weight: torch.Tensor, bits: Bits) -> Rounded:
    """The nearest matrix of integers: 8 bits with a scale a row, 4 bits with one a group.

    For 4 bits the scale of each group is the one among 16 with the least squared error. Rows that
    can't be cut into groups of `GROUP` columns have one scale.

    Args:
        weight: [O, I], finite.
        bits: 8 or 4.
    """
    columns = weight.shape[1]
    group = GROUP if bits == 4 and columns % GROUP == 0 else columns
    parts = weight.detach().float().reshape(len(weight), -1, group)
    least, most = (-8, 7) if bits == 4 else (-127, 127)
    # A group is turned round where its largest weight is negative: 4 bits reach further there.
    widest = parts.gather(2, parts.abs().argmax(dim=2, keepdim=True))[:, :, 0]
    whole = widest / least if bits == 4 else widest.abs() / most
    scales = _upwards(whole)
    values = _values(parts, scales, least, most)
    if bits == 4:
        error = _error(parts, values, scales)
        for share in _SHARES[1:]:
            tried = _upwards(whole * share)
            found = _values(parts, tried, least, most)
            lost = _error(parts, found, tried)
            better = lost < error
            scales = torch.where(better, tried, scales)
            values = torch.where(better[:, :, None], found, values)
            error = torch.where(better, lost, error)
    return Rounded(values.reshape(weight.shape).to(torch.int8), scales, bits)


def _upwards(scales: torch.Tensor) -> torch.Tensor:
    """bfloat16 numbers no nearer to 0, as float32; 1 where a group is all zeros."""
    near = scales.to(torch.bfloat16)
    short = near.float().abs() < scales.abs()
    step = torch.nextafter(near, torch.copysign(torch.full_like(near, torch.inf), near))
    found = torch.where(short, step, near).float()
    return torch.where(found == 0, torch.ones_like(found), found)


def _values(parts: torch.Tensor, scales: torch.Tensor, least: int, most: int) -> torch.Tensor:
    return (parts / scales[:, :, None]).round_().clamp_(least, most)


def _error(parts: torch.Tensor, values: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    return (values * scales[:, :, None] - parts).square().sum(dim=2)


def matrices(model: Any) -> dict[str, Any]:
    """The modules of a model whose weights are matrices of products or of words, by name.

    Linear layers, GPT-2's ``Conv1D`` and token embeddings; tables of positions aren't among them,
    which are small and added to everything.
    """
    from transformers.pytorch_utils import Conv1D

    words = model.get_input_embeddings()
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) or module is words
    }


def weight_of(module: Any) -> torch.Tensor:
    """[O, I] of a linear layer; ``Conv1D`` keeps its weight the other way round."""
    from transformers.pytorch_utils import Conv1D

    weight: torch.Tensor = module.weight
    return weight.t() if isinstance(module, Conv1D) else weight
