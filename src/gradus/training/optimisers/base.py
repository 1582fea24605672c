"""What an optimiser of the catalog is. Imports nothing heavy: a plan is checked with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gradus.training.choice import ChoiceConfig

if TYPE_CHECKING:
    import torch
    from torch import nn


class OptimiserConfig(ChoiceConfig):
    """Base of every optimiser's config.

    Class attributes:
        usual_rate: learning rate of layers where a stage gives none.
        usual_head_rate: the same where the head alone trains.
        needs_layers: whether it has nothing to do where the head alone trains.
    """

    usual_rate: ClassVar[float] = 2e-4
    usual_head_rate: ClassVar[float] = 1e-3
    needs_layers: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A parameter that a stage trains.

    Attributes:
        name: the parameter's.
        group: ``embeddings``, ``layer.K`` or ``head``.
        parameter: the tensor.
        rate: its learning rate before the schedule; discriminative rates are in it.
        weight_decay: decoupled; 0 for biases and norms.
    """

    name: str
    group: str
    parameter: nn.Parameter
    rate: float
    weight_decay: float


class Optimiser(ABC):
    """An optimiser: makes torch's optimisers for the parameters of a stage.

    Class attributes:
        Config: its typed config; what a stage writes under ``optimiser`` beside ``name``.
        summary: one line for `gradus ls`.
        example: ``optimiser:`` as it stands in a stage, in YAML.
    """

    Config: ClassVar[type[OptimiserConfig]]
    summary: ClassVar[str]
    example: ClassVar[str]

    @abstractmethod
    def build(self, config: Any, members: Sequence[Member]) -> Sequence[torch.optim.Optimizer]:
        """Optimisers that together hold every member once.

        The ``lr`` that a parameter group has then is its rate before the schedule. State that is
        kept for a parameter (tensors, numbers) and numbers of a group that change outlive an
        interruption; what an optimiser keeps elsewhere doesn't.

        Raises:
            TrainingError: these members can't be trained by it.
        """


def settings(members: Iterable[Member]) -> list[dict[str, Any]]:
    """torch's parameter groups: members of the same rate and decay together, in order."""
    together: dict[tuple[float, float], list[nn.Parameter]] = {}
    for member in members:
        together.setdefault((member.rate, member.weight_decay), []).append(member.parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in together.items()
    ]
