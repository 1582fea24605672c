"""Optimiser `muon`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from gradus.errors import TrainingError
from gradus.training.optimisers.adamw import adamw
from gradus.training.optimisers.base import Member, Optimiser, OptimiserConfig, settings

if TYPE_CHECKING:
    import torch


class MuonConfig(OptimiserConfig):
    """Momentum of the matrices, and AdamW's decays for all else.

    Attributes:
        momentum: decay of the matrices' averaged gradient.
        nesterov: whether the gradient is taken ahead of the momentum.
        iterations: of Newton and Schulz's method, which makes the update nearly orthogonal.
        scale: ``adamw`` gives updates the size of AdamW's, 0.2 times the root of the longer side
            (Liu et al. 2025), so that a rate means the same; ``original`` the root of rows over
            columns, at least 1 (Jordan et al. 2024), which takes rates of about 0.02.
        beta1: of AdamW, for embeddings, head, biases and norms.
        beta2: of AdamW.
        eps: of AdamW.
    """

    needs_layers: ClassVar[bool] = True

    name: Literal["muon", "muon.v1"] = "muon"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    nesterov: bool = True
    iterations: Annotated[int, Field(ge=1, lt=100)] = 5
    scale: Literal["adamw", "original"] = "adamw"
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(gt=0, lt=1)] = 0.999
    eps: Annotated[float, Field(gt=0)] = 1e-8


class Muon(Optimiser):
    """Momentum made orthogonal, for the matrices of layers (Jordan et al. 2024, Muon: an
    optimizer for hidden layers), torch's form; AdamW for embeddings, head, biases and norms.

    The update of a matrix is its momentum with all singular values brought near 1, computed in
    bfloat16. It keeps one number a weight of those matrices, half of what ``adamw`` keeps.
    """

    Config: ClassVar[type[OptimiserConfig]] = MuonConfig
    summary: ClassVar[str] = "orthogonal momentum for the layers' matrices, AdamW for the rest"
    example: ClassVar[str] = "{name: muon, momentum: 0.95}"

    def build(self, config: Any, members: Sequence[Member]) -> Sequence[torch.optim.Optimizer]:
        """Muon for the matrices, AdamW for what is left."""
        import torch

        matrices = [member for member in members if _orthogonal(member)]
        rest = [member for member in members if not _orthogonal(member)]
        if not matrices:
            raise TrainingError(
                "optimiser: muon: the stage trains no matrix of a layer: take adamw or train layers"
            )
        if not hasattr(torch.optim, "Muon"):
            raise TrainingError(
                f"optimiser: muon: torch {torch.__version__} lacks it: pip install 'torch>=2.9'"
            )
        made: torch.optim.Optimizer = torch.optim.Muon(
            settings(matrices),
            momentum=config.momentum,
            nesterov=config.nesterov,
            ns_steps=config.iterations,
            adjust_lr_fn="match_rms_adamw" if config.scale == "adamw" else "original",
        )
        return (made, adamw(config, rest)) if rest else (made,)


def _orthogonal(member: Member) -> bool:
    return member.parameter.ndim == 2 and member.group.startswith("layer.")
