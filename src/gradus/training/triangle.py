"""Causal attention without its upper half, forwards and backwards, for some hundred tokens.

Legend: b heads times texts, L tokens of a text, k size of a head.

The fused kernel that torch has for processors takes a third of a small model's training time where
its products are a tenth: most of it goes into the backward pass, which computes the probabilities
again. Over a few hundred tokens they fit into memory. Queries are taken `ROWS` at a time, each
block with the keys up to its own end, so that of the masked half only small triangles are computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import torch

ROWS: Final = 64
LONGEST: Final = 512
"""Tokens of a text; with more, the probabilities take too much memory and the kernel pays."""


def causal_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
) -> torch.Tensor:
    """Every token's mean of the values up to its own, [b, L, k], from three tensors of that shape.

    Products are taken in the tensors' dtype, probabilities in float32 or better. Under autocast an
    adapter may leave one of the tensors wider than the others; the narrowest dtype is then taken,
    as autocast takes it forwards.
    """
    kind = min((query.dtype, key.dtype, value.dtype), key=lambda dtype: dtype.itemsize)
    query, key, value = query.to(kind), key.to(kind), value.to(kind)
    found: torch.Tensor = _Causal.apply(query, key, value, scale)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return found


class _Causal(torch.autograd.Function):
    """See `causal_attention`. With P the probabilities and O the output, the gradient of the scores
    is P (dP - D), where D is the row sum of dO times O (Dao et al. 2022, appendix B.4)."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        query = query * scale
        out, kept = torch.empty_like(query), []
        wide = torch.promote_types(query.dtype, torch.float32)
        later = torch.full((ROWS, ROWS), -torch.inf, dtype=wide).triu(1)
        for low, high in _blocks(query.shape[1]):
            scores = torch.bmm(query[:, low:high], key[:, :high].transpose(1, 2)).to(wide)
            scores[:, :, low:] += later[: high - low, : high - low]
            weights = scores.softmax(dim=-1).to(query.dtype)
            out[:, low:high] = torch.bmm(weights, value[:, :high])
            kept.append(weights)
        ctx.save_for_backward(query, key, value, out, *kept)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, out, *kept = ctx.saved_tensors
        given = gradients[0].to(query.dtype).contiguous()
        wide = torch.promote_types(query.dtype, torch.float32)
        mean = (given.to(wide) * out).sum(dim=-1, keepdim=True)
        of_query = torch.empty_like(query)
        of_key, of_value = torch.zeros_like(key, dtype=wide), torch.zeros_like(value, dtype=wide)
        for (low, high), weights in zip(_blocks(query.shape[1]), kept, strict=True):
            part = given[:, low:high]
            of_value[:, :high] += torch.bmm(weights.transpose(1, 2), part)
            scores = torch.bmm(part, value[:, :high].transpose(1, 2)).to(wide)
            scores = scores.sub_(mean[:, low:high]).mul_(weights).to(query.dtype)
            of_query[:, low:high] = torch.bmm(scores, key[:, :high])
            of_key[:, :high] += torch.bmm(scores.transpose(1, 2), query[:, low:high])
        return of_query * ctx.scale, of_key.to(key.dtype), of_value.to(value.dtype), None


def _blocks(length: int) -> Iterator[tuple[int, int]]:
    """Rows of each block."""
    for low in range(0, length, ROWS):
        yield low, min(low + ROWS, length)
