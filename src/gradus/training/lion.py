"""Lion, which torch doesn't ship (Chen et al. 2023, algorithm 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class SignMomentum(torch.optim.Optimizer):
    """With m the momentum, g the gradient, w a weight, at each update::

        w -= lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * w)
        m  = beta2 * m + (1 - beta2) * g

    Every parameter group has ``lr`` and ``weight_decay``.
    """

    def __init__(self, groups: list[dict[str, Any]], *, betas: tuple[float, float]) -> None:
        super().__init__(groups, {"betas": betas})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # takes no closure
        """One update.

        Raises:
            ValueError: a closure was given; the gradients must stand there already.
        """
        if closure is not None:
            raise ValueError("Lion takes one gradient an update: call it without a closure")
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            gradients = [p.grad for p in weights]
            for weight in weights:
                if not self.state[weight]:
                    self.state[weight]["momentum"] = torch.zeros_like(weight)
            momenta = [self.state[p]["momentum"] for p in weights]
            (beta1, beta2), rate = group["betas"], group["lr"]
            signs = torch._foreach_lerp(momenta, gradients, 1 - beta1)
            torch._foreach_sign_(signs)
            torch._foreach_mul_(weights, 1 - rate * group["weight_decay"])
            torch._foreach_add_(weights, signs, alpha=-rate)
            torch._foreach_lerp_(momenta, gradients, 1 - beta2)
