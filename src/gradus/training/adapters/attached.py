"""What a model with an adapter knows about it. Imports no peft: every model is asked.

Legend: v virtual tokens, d hidden size, n texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gradus.training.adapters.base import Adapter, Wanted

ENCODER = "prompt_encoder"
_NAME = "gradus_adapter"


@dataclass(frozen=True, slots=True)
class Attached:
    """An adapter that is in place.

    Thin matrices and vectors stand inside the model's own modules; virtual tokens in a module
    `ENCODER` that is hung into the model, so that all that trains is found in one tree.

    Attributes:
        wanted: what the plan asked for.
        kind: the adapter.
        model: the transformers model.
        peft: peft's wrapper around it, which reads, writes and merges.
        parameters: names of the adapter's parameters in `model`.
    """

    wanted: Wanted
    kind: Adapter
    model: nn.Module
    peft: Any
    parameters: frozenset[str]

    @property
    def virtual(self) -> int:
        """v, 0 for adapters of weights."""
        return self.kind.virtual(self.wanted.config)

    @property
    def merges(self) -> bool:
        """Whether the weights can take the adapter up."""
        return self.kind.place == "weights"

    @property
    def size(self) -> int:
        """Numbers that the adapter holds."""
        own = dict(self.model.named_parameters())
        return sum(own[name].numel() for name in self.parameters)

    def input(self) -> torch.Tensor | None:
        """Vectors [v, d] that stand before every text's word embeddings."""
        if self.kind.place != "input":
            return None
        vectors: torch.Tensor = self.peft.get_prompt(batch_size=1)[0]
        return vectors

    def past(self, n: int) -> Any:
        """Keys and values of v tokens for each of n rows, as the model takes them."""
        return self.peft.get_prompt(batch_size=n) if self.kind.place == "past" else None

    def set_virtual(self, values: torch.Tensor) -> None:
        """Copy `values` [v, ...] into the one matrix that virtual tokens are kept in."""
        (name,) = self.parameters
        with torch.no_grad():
            self.model.get_parameter(name).copy_(values)

    def identity(self) -> Mapping[str, Any]:
        """What, beside its parameters, decides what the adapter computes."""
        return self.wanted.to_json()


def of(model: nn.Module) -> Attached | None:
    """The adapter of `model`, or None."""
    found: Attached | None = model.__dict__.get(_NAME)
    return found


def put(model: nn.Module, attached: Attached | None) -> None:
    """Remember, or with None forget, the adapter of `model`."""
    # A plain attribute: registered as a module it would contain the model that contains it.
    if attached is None:
        model.__dict__.pop(_NAME, None)
    else:
        model.__dict__[_NAME] = attached
