"""Optimiser `adamw`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from gradus.training.optimisers.base import Member, Optimiser, OptimiserConfig, settings

if TYPE_CHECKING:
    import torch


class AdamWConfig(OptimiserConfig):
    """Decays of the moments.

    Attributes:
        beta1: decay of the first moment.
        beta2: decay of the second moment.
        eps: what is added to the second moment's root.
    """

    name: Literal["adamw", "adamw.v1"] = "adamw"
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(gt=0, lt=1)] = 0.999
    eps: Annotated[float, Field(gt=0)] = 1e-8


class AdamW(Optimiser):
    """Adam (Kingma & Ba 2015) with decoupled weight decay (Loshchilov & Hutter 2019), torch's
    fused form. The default.
    """

    Config: ClassVar[type[OptimiserConfig]] = AdamWConfig
    summary: ClassVar[str] = "Adam with decoupled weight decay, fused"
    example: ClassVar[str] = "{name: adamw, beta2: 0.98}"

    def build(self, config: Any, members: Sequence[Member]) -> Sequence[torch.optim.Optimizer]:
        """One optimiser for all."""
        return (adamw(config, members),)


def adamw(config: Any, members: Sequence[Member]) -> torch.optim.Optimizer:
    """torch's fused AdamW; `config` has ``beta1``, ``beta2`` and ``eps``."""
    import torch

    betas = (config.beta1, config.beta2)
    return torch.optim.AdamW(settings(members), betas=betas, eps=config.eps, fused=True)
