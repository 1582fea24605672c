"""AdamW over the parameters that a stage trains, with layer-wise rates.

Layer-wise decay as in Howard & Ruder 2018 (discriminative fine-tuning, section 3.1): the highest
layer learns at the stage's rate, each one below at `layer_lr_decay` times the one above.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from gradus.training.config import StageConfig
from gradus.training.groups import HEAD, LayerGroups


def rate_of(group: str, stage: StageConfig, groups: LayerGroups) -> float:
    """The learning rate of a layer group before the schedule.

    With L layers, layer K has ``lr * decay ** (L - 1 - K)`` and the embeddings have
    ``lr * decay ** L``; the head has `head_lr`, or `lr`.
    """
    if group == HEAD:
        return stage.head_lr if stage.head_lr is not None else stage.rate
    above = len(groups.layers) - 1 - groups.depth(group)
    return stage.rate * float(stage.layer_lr_decay**above)


def decays(parameter: torch.Tensor) -> bool:
    """Whether weight decay applies: to matrices, not to biases and norms (which are vectors)."""
    return parameter.ndim > 1


def build(
    parameters: Mapping[str, nn.Parameter],
    chosen: Mapping[str, str],
    stage: StageConfig,
    groups: LayerGroups,
) -> torch.optim.AdamW:
    """Fused AdamW (Loshchilov & Hutter 2019) over `chosen` (name -> group).

    Every parameter group of the optimiser keeps its rate before the schedule under ``base``.
    """
    together: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, group in chosen.items():
        decay = stage.weight_decay if decays(parameters[name]) else 0.0
        together.setdefault((rate_of(group, stage, groups), decay), []).append(parameters[name])
    settings = [
        {"params": members, "lr": rate, "base": rate, "weight_decay": decay}
        for (rate, decay), members in together.items()
    ]
    return torch.optim.AdamW(settings, betas=(0.9, stage.beta2), fused=True)


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Put the schedule's factor on every group's rate."""
    for group in optimiser.param_groups:
        group["lr"] = group["base"] * factor


def export(
    optimiser: torch.optim.AdamW, parameters: Mapping[str, nn.Parameter]
) -> dict[str, torch.Tensor]:
    """The optimiser's moments as named tensors: ``optimiser/KEY/PARAMETER``."""
    return {
        f"optimiser/{key}/{name}": value
        for name, parameter in parameters.items()
        for key, value in optimiser.state.get(parameter, {}).items()
    }


def restore(
    optimiser: torch.optim.AdamW,
    parameters: Mapping[str, nn.Parameter],
    saved: Mapping[str, torch.Tensor],
) -> None:
    """Put back what `export` gave."""
    for key in ("step", "exp_avg", "exp_avg_sq"):
        for name, parameter in parameters.items():
            if f"optimiser/{key}/{name}" in saved:
                optimiser.state[parameter][key] = saved[f"optimiser/{key}/{name}"]
