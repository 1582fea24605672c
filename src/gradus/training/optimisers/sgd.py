"""Optimiser `sgd`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from gradus.training.optimisers.base import Member, Optimiser, OptimiserConfig, settings

if TYPE_CHECKING:
    import torch


class SgdConfig(OptimiserConfig):
    """Momentum.

    Attributes:
        momentum: decay of the summed gradients; 0 for none.
        nesterov: whether the gradient is taken ahead of the momentum (Sutskever et al. 2013).
    """

    usual_rate: ClassVar[float] = 2e-2
    usual_head_rate: ClassVar[float] = 1e-1

    name: Literal["sgd", "sgd.v1"] = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> SgdConfig:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class Sgd(Optimiser):
    """Stochastic gradient descent with momentum, and decoupled weight decay as in SGDW
    (Loshchilov & Hutter 2019, algorithm 1).

    With b the momentum buffer, g the gradient, w a weight: ``w -= lr * decay * w``,
    ``b = momentum * b + g``, ``w -= lr * b``. Its rates are about a hundred times those of
    ``adamw``; a stage that gives none gets 2e-2, or 1e-1 for a head alone.
    """

    Config: ClassVar[type[OptimiserConfig]] = SgdConfig
    summary: ClassVar[str] = "stochastic gradient descent with momentum, decay decoupled"
    example: ClassVar[str] = "{name: sgd, momentum: 0.9}"

    def build(self, config: Any, members: Sequence[Member]) -> Sequence[torch.optim.Optimizer]:
        """One optimiser for all."""
        import torch

        made = torch.optim.SGD(
            settings(members), momentum=config.momentum, nesterov=config.nesterov, fused=True
        )
        decouple(made)
        return (made,)


def decouple(optimiser: torch.optim.Optimizer) -> None:
    """Take weight decay out of the gradient and apply it to the weights before each update."""
    import torch

    for group in optimiser.param_groups:
        group["decoupled"], group["weight_decay"] = group["weight_decay"], 0.0

    def shrink(made: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        with torch.no_grad():
            for group in made.param_groups:
                weights = [p for p in group["params"] if p.grad is not None]
                if group["decoupled"] and weights:
                    torch._foreach_mul_(weights, 1 - group["lr"] * group["decoupled"])

    optimiser.register_step_pre_hook(shrink)
