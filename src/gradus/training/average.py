"""The exponential moving average of the weights that a stage trains (Polyak & Juditsky 1992)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

PREFIX = "average/"


class Average:
    """Follows the weights; without a decay it does nothing at all."""

    def __init__(self, decay: float | None, trained: Mapping[str, nn.Parameter]) -> None:
        self.decay, self.trained = decay, trained
        self.values: dict[str, torch.Tensor] = {}

    def export(self) -> dict[str, torch.Tensor]:
        """The average as named tensors, ``average/PARAMETER``."""
        return {f"{PREFIX}{name}": value for name, value in self.values.items()}

    def restore(self, saved: Mapping[str, torch.Tensor]) -> None:
        """Put back what `export` gave; other tensors in `saved` are left alone."""
        names = (name for name in self.trained if f"{PREFIX}{name}" in saved)
        self.values = {name: saved[f"{PREFIX}{name}"] for name in names}

    def follow(self, update: int) -> None:
        """Move towards the weights after the `update`-th update (from 1).

        It warms up so that the start is forgotten.
        """
        if self.decay is None:
            return
        if not self.values:
            self.values = {name: p.detach().clone() for name, p in self.trained.items()}
            return
        decay = min(self.decay, (1 + update) / (10 + update))
        weights = [p.detach() for p in self.trained.values()]
        torch._foreach_lerp_(list(self.values.values()), weights, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The average in the weights' place for the length of the block."""
        if not self.values:
            yield
            return
        kept = {name: p.detach().clone() for name, p in self.trained.items()}
        self.settle()
        try:
            yield
        finally:
            self._put(kept)

    def settle(self) -> None:
        """Leave the average in the weights' place, where there is one."""
        if self.values:
            self._put(self.values)

    def _put(self, values: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(values[name])
