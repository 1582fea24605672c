"""Layers that compute as int8 products would, so that training learns to live with the rounding.

Quantisation-aware training (Jacob et al. 2018): the forward pass rounds weights and activations,
the backward pass takes rounding for the identity (Bengio et al. 2013, straight-through). Scales
are those of `gradus.compress.integers`: one for each output channel, one for each token.

Legend: T tokens, k inner size, m outer size.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch import nn
from torch.nn import functional

_STEPS: Final = 127
_LEAST_SCALE: Final = 1e-12


def rounded(values: torch.Tensor, axis: int, most: int = _STEPS) -> torch.Tensor:
    """`values` on the grid of integers in -`most` .. `most`, one scale along `axis`.

    The gradient passes as if nothing had been rounded.

    >>> rounded(torch.tensor([[0.3, 127.0]]), axis=1)
    tensor([[  0., 127.]])
    """
    with torch.no_grad():
        exact = values.detach().float()
        scale = exact.abs().amax(dim=axis, keepdim=True).clamp_min(_LEAST_SCALE) / most
        moved = torch.round(exact / scale).clamp(-most, most) * scale - exact
    return values + moved.to(values.dtype)


class RoundedLinear(nn.Linear):
    """`nn.Linear` with weights [m, k] rounded by row and inputs [.., k] by token."""

    most: int = _STEPS

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[.., m] from [.., k]."""
        weights = rounded(self.weight, 1, self.most)
        return functional.linear(rounded(input, -1), weights, self.bias)


class RoundedEmbedding(nn.Embedding):
    """`nn.Embedding` whose rows [V, k] are rounded, each by itself."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[.., k] from ids [..]."""
        return rounded(super().forward(input), -1)


@contextmanager
def rounding(model: nn.Module, most: int = _STEPS) -> Iterator[int]:
    """Inside, the model's linear layers and its embeddings of tokens round; gives how many do.

    The modules themselves stay, with their parameters and their names: only their class differs,
    so that freezing, optimisers, resuming and saving notice nothing.
    """
    changed: list[tuple[nn.Module, type[nn.Module]]] = []
    try:
        for module in model.modules():
            if type(module) is nn.Linear:
                changed.append((module, nn.Linear))
                module.__class__ = RoundedLinear
                module.most = most  # type: ignore[assignment]  # nn.Module types attributes as tensors
            elif type(module) is nn.Embedding:
                changed.append((module, nn.Embedding))
                module.__class__ = RoundedEmbedding
        transposed = _conv1d()
        for module in model.modules():
            if type(module) is transposed[0]:
                changed.append((module, transposed[0]))
                module.__class__ = transposed[1]
                module.most = most  # type: ignore[assignment]  # nn.Module types attributes as tensors
        yield len(changed)
    finally:
        for module, kind in changed:
            module.__class__ = kind


def _conv1d() -> tuple[type[nn.Module], type[nn.Module]]:
    """The linear layer of GPT-2 and its kin, with weights [k, m], and its rounding form."""
    from transformers.pytorch_utils import Conv1D

    class RoundedConv1D(Conv1D):  # type: ignore[misc]  # transformers is untyped
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            weights = rounded(self.weight, 0, int(self.most))
            return functional.linear(rounded(x, -1), weights.T, self.bias)

    return Conv1D, RoundedConv1D
