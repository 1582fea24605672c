"""Optimiser `lion`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from gradus.training.optimisers.base import Member, Optimiser, OptimiserConfig, settings

if TYPE_CHECKING:
    import torch


class LionConfig(OptimiserConfig):
    """Decays of the momentum.

    Attributes:
        beta1: share of the momentum in what the sign is taken of.
        beta2: decay of the momentum.
    """

    usual_rate: ClassVar[float] = 5e-5
    usual_head_rate: ClassVar[float] = 2e-4

    name: Literal["lion", "lion.v1"] = "lion"
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(gt=0, lt=1)] = 0.99


class Lion(Optimiser):
    """The sign of momentum and gradient (Chen et al. 2023, Symbolic discovery of optimization
    algorithms, algorithm 2).

    Every weight moves by its rate at every update. It keeps one number a weight, half of what
    ``adamw`` keeps. The paper takes rates 3 to 10 times lower than AdamW's and a weight decay
    higher by as much; a stage that gives no rate gets 5e-5, or 2e-4 for a head alone.
    """

    Config: ClassVar[type[OptimiserConfig]] = LionConfig
    summary: ClassVar[str] = "the sign of momentum and gradient; half of AdamW's memory"
    example: ClassVar[str] = "{name: lion, beta2: 0.99}"

    def build(self, config: Any, members: Sequence[Member]) -> Sequence[torch.optim.Optimizer]:
        """One optimiser for all."""
        from gradus.training.lion import SignMomentum

        return (SignMomentum(settings(members), betas=(config.beta1, config.beta2)),)
