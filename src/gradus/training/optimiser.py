"""The optimiser of a stage: rates by layer, and a state that outlives an interruption.

Layer-wise decay as in Howard & Ruder 2018 (discriminative fine-tuning, section 3.1): the highest
layer learns at the stage's rate, each one below at `layer_lr_decay` times the one above.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import nn

from gradus import registry
from gradus.errors import TrainingError
from gradus.training.config import StageConfig
from gradus.training.groups import HEAD, LayerGroups
from gradus.training.optimisers.base import Member

PREFIX: Final = "optimiser/"
_NUMBERS: Final = {"bool": torch.bool, "int": torch.int64, "float": torch.float64}
_SET_EACH_UPDATE: Final = ("lr", "base", "params")


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


class StageOptimiser:
    """What the catalog's entry makes of a stage's parameters, as one.

    Attributes:
        trained: the parameters by name.
        parts: torch's optimisers, which together hold each parameter once. Every parameter group
            keeps its rate before the schedule under ``base``.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        chosen: Mapping[str, str],
        stage: StageConfig,
        groups: LayerGroups,
    ) -> None:
        """For `chosen` (name -> group) of `parameters`.

        Raises:
            TrainingError: the optimiser can't train these parameters.
        """
        config = stage.chosen_optimiser
        members = [
            Member(
                name=name,
                group=group,
                parameter=parameters[name],
                rate=rate_of(group, stage, groups),
                weight_decay=stage.weight_decay if decays(parameters[name]) else 0.0,
            )
            for name, group in chosen.items()
        ]
        self.trained = {member.name: member.parameter for member in members}
        self.parts = tuple(registry.load("optimisers", config.name)().build(config, members))
        self._part_of = _owners(self.parts, self.trained, config.name)
        for group in self._groups():
            group["base"] = group["lr"]
        self._begun = [_numbers(group) for group in self._groups()]

    def set_rates(self, factor: float) -> None:
        """Put the schedule's factor on every group's rate."""
        for group in self._groups():
            group["lr"] = group["base"] * factor

    def step(self) -> None:
        """One update from the gradients that stand there, which are then dropped."""
        for part in self.parts:
            part.step()
        self.drop()

    def drop(self) -> None:
        """Drop the gradients that stand there."""
        for parameter in self.trained.values():
            parameter.grad = None

    def export(self) -> dict[str, torch.Tensor]:
        """All that the optimiser remembers, as named tensors.

        ``optimiser/KIND/KEY/PARAMETER`` holds state of a parameter, ``optimiser/KIND/KEY/#N`` a
        number of the N-th parameter group that has changed since the stage began; KIND is
        ``tensor``, ``bool``, ``int``, ``float`` or ``none``.

        Raises:
            TrainingError: the optimiser keeps something that can't be saved.
        """
        found = {}
        for name, parameter in self.trained.items():
            for key, value in self._part_of[name].state.get(parameter, {}).items():
                kind, tensor = _as_tensor(key, value)
                found[f"{PREFIX}{kind}/{key}/{name}"] = tensor
        for place, (group, before) in enumerate(zip(self._groups(), self._begun, strict=True)):
            for key, value in _numbers(group).items():
                if key not in before or before[key] != value:
                    kind, tensor = _as_tensor(key, value)
                    found[f"{PREFIX}{kind}/{key}/#{place}"] = tensor
        return found

    def rewind(self, saved: Mapping[str, torch.Tensor]) -> None:
        """Be as it was when `saved` was exported; what it has learned since is forgotten."""
        for part in self.parts:
            part.state.clear()
        for group, before in zip(self._groups(), self._begun, strict=True):
            group.update(before)
        self.restore(saved)

    def restore(self, saved: Mapping[str, torch.Tensor]) -> None:
        """Put back what `export` gave; other tensors in `saved` are left alone."""
        groups = self._groups()
        for place, tensor in saved.items():
            if not place.startswith(PREFIX):
                continue
            kind, key, name = place.removeprefix(PREFIX).split("/", 2)
            value = tensor if kind == "tensor" else tensor.item() if kind in _NUMBERS else None
            if name.startswith("#"):
                groups[int(name[1:])][key] = value
            else:
                self._part_of[name].state[self.trained[name]][key] = value

    def _groups(self) -> list[dict[str, Any]]:
        return [group for part in self.parts for group in part.param_groups]


def _owners(
    parts: tuple[torch.optim.Optimizer, ...], trained: Mapping[str, nn.Parameter], name: str
) -> dict[str, torch.optim.Optimizer]:
    """Parameter name -> the part that holds it."""
    held = [(id(p), part) for part in parts for group in part.param_groups for p in group["params"]]
    found = dict(held)
    if len(held) != len(found) or found.keys() != {id(p) for p in trained.values()}:
        raise TrainingError(f"optimiser {name} doesn't hold every parameter exactly once")
    return {key: found[id(parameter)] for key, parameter in trained.items()}


def _numbers(group: Mapping[str, Any]) -> dict[str, bool | int | float]:
    """What a parameter group counts; its rate is set anew at every update."""
    return {
        key: value
        for key, value in group.items()
        if key not in _SET_EACH_UPDATE and isinstance(value, bool | int | float)
    }


def _as_tensor(key: str, value: Any) -> tuple[str, torch.Tensor]:
    """Kind and tensor of a value of an optimiser's state."""
    if isinstance(value, torch.Tensor):
        return "tensor", value
    if value is None:
        return "none", torch.empty(0)
    kind = type(value).__name__
    if kind not in _NUMBERS or "/" in key:
        raise TrainingError(
            f"the optimiser keeps '{key}' of type {kind}: only tensors and numbers can be saved"
        )
    return kind, torch.tensor(value, dtype=_NUMBERS[kind])
