"""From hidden states to one vector a text, and the linear head on it.

Legend: T tokens of a packed batch, B texts, d hidden size, K labels.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import normalize

from gradus.training.packing import Layout


def pool(hidden: torch.Tensor, layout: Layout, how: str, *, normalise: bool) -> torch.Tensor:
    """float32 [B, d] from hidden [T, d]: the first token, the last, or the mean over a text."""
    parts = []
    for run in layout.split(hidden):
        if how == "mean":
            parts.append(run.float().mean(1))
        else:
            parts.append(run[:, 0 if how == "first" else -1].float())
    pooled = torch.cat(parts)
    return normalize(pooled, dim=-1) if normalise else pooled


class LinearHead(nn.Module):
    """Logits [B, K] from features [B, d]: ``scale * features @ weight.T + bias``.

    The scale is fixed. It brings features of whatever norm to a norm at which a step of the
    optimiser moves the head and the layers at a comparable pace.
    """

    def __init__(self, width: int, labels: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(labels, width))
        self.bias = nn.Parameter(torch.zeros(labels))
        self.scale = scale

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of `features`, in float32 always."""
        with torch.autocast("cpu", enabled=False):
            return (features.float() * self.scale) @ self.weight.T + self.bias
