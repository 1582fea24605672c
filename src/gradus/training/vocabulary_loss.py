"""Cross-entropy over a vocabulary, without the logits of a whole batch.

Legend: n hidden states, d their size, V vocabulary, c rows of a chunk.

Rows are taken c at a time, few enough for the processor's caches. A chunk's logits become its
gradient in place, and nothing is computed twice on the way back. The gradients of many chunks, in
the products' dtype, are multiplied together: the weight's own gradient [V, d] is read and written
for each product, which for a few rows takes longer than the product itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import torch

CHUNK_NUMBERS: Final = 1 << 20
"""Logits of a chunk: 4 MB in float32."""
FEWEST_ROWS: Final = 64
GROUP_NUMBERS: Final = 1 << 24
"""Gradients that are multiplied together: 32 MB in bfloat16."""


def summed_loss(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    targets: torch.Tensor,
    *,
    z_loss: float = 0.0,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """The summed cross-entropy in nats: a scalar.

    Args:
        hidden: [n, d].
        weight: [V, d], the head's.
        bias: [V], or None.
        targets: int64 [n].
        z_loss: how much the squared logarithm of the softmax's denominator is held down (Chowdhery
            et al. 2022, section 5: 1e-4). Its gradient is taken along; the value is the
            cross-entropy alone, so that losses mean the same with and without it.
        dtype: of the products; all else is float32.
    """

    def chunk(logits: torch.Tensor, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        return cross_entropy_chunk(logits, targets[rows], z_loss)

    return summed(hidden, weight, bias, chunk, dtype=dtype)


Chunk = Callable[[torch.Tensor, slice], tuple[torch.Tensor, torch.Tensor]]
"""From the logits, float32 [c, V], of some rows of a batch, and which rows they are, to their
summed loss and its gradient [c, V]; the logits are its own to overwrite."""


def summed(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    chunk: Chunk,
    *,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """The sum of any loss over a vocabulary: a scalar. Arguments as of `summed_loss`."""
    found: torch.Tensor = _Summed.apply(hidden, weight, bias, chunk, dtype)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return found


@torch.no_grad()
def read(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    targets: torch.Tensor,
    *,
    dtype: torch.dtype = torch.float32,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The cross-entropy of each target in nats, float32 [n], and whether none is likelier, bool
    [n]; arguments as of `summed_loss`."""
    matrix = weight.to(dtype)
    found, first = torch.empty(len(hidden)), torch.empty(len(hidden), dtype=torch.bool)
    for rows in _slices(len(hidden), len(weight), CHUNK_NUMBERS):
        logits = _logits(hidden[rows].to(dtype), matrix, bias)
        chosen = logits.gather(1, targets[rows, None]).squeeze(1)
        top = logits.amax(dim=1)
        first[rows] = chosen >= top
        found[rows] = logits.sub_(top[:, None]).exp_().sum(dim=1).log_().add_(top).sub_(chosen)
    return found, first


class _Summed(torch.autograd.Function):
    """See `summed_loss`."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        chunk: Chunk,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        matrix = weight.to(dtype)
        of_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        of_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        of_bias = torch.zeros_like(bias) if bias is not None and ctx.needs_input_grad[2] else None
        total = torch.zeros((), dtype=torch.float64)
        for group in _slices(len(hidden), len(weight), GROUP_NUMBERS):
            states = hidden[group].to(dtype)
            gradients = torch.empty(len(states), len(weight), dtype=dtype)
            for rows in _slices(len(states), len(weight), CHUNK_NUMBERS):
                whole = slice(group.start + rows.start, group.start + rows.stop)
                value, gradient = chunk(_logits(states[rows], matrix, bias), whole)
                total += value
                gradients[rows] = gradient
                if of_bias is not None:
                    of_bias += gradient.sum(dim=0)
            if of_hidden is not None:
                of_hidden[group] = gradients @ matrix
            if of_weight is not None:
                of_weight += gradients.t() @ states
        ctx.gradients = (of_hidden, of_weight, of_bias)
        return total.float()

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (scale,) = outputs
        found = [None if each is None else each.mul_(scale) for each in ctx.gradients]
        ctx.gradients = ()
        return (*found, None, None)


def _slices(count: int, vocabulary: int, numbers: int) -> Iterator[slice]:
    """Rows with at most so many numbers, V each, but not too few."""
    size = max(FEWEST_ROWS, numbers // vocabulary)
    for low in range(0, count, size):
        yield slice(low, min(low + size, count))


def _logits(hidden: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """float32 [c, V], ours to overwrite."""
    logits = (hidden @ matrix.t()).float()
    return logits if bias is None else logits.add_(bias)


def cross_entropy_chunk(
    logits: torch.Tensor, targets: torch.Tensor, z_loss: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed cross-entropy of a `Chunk`, and the gradient in the place of `logits`."""
    columns = targets[:, None]
    chosen = logits.gather(1, columns).squeeze(1)
    top = logits.amax(dim=1)
    sums = logits.sub_(top[:, None]).exp_().sum(dim=1)
    normaliser = sums.log().add_(top)
    # d/dx of (lse - x_target + z lse^2) is softmax (1 + 2 z lse) - [x is the target].
    logits.mul_(((1 + 2 * z_loss * normaliser) / sums)[:, None])
    logits.scatter_add_(1, columns, torch.full_like(columns, -1, dtype=logits.dtype))
    return (normaliser - chosen).double().sum(), logits
