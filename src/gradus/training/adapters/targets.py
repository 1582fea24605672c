"""From the names that a plan gives to the linear layers that an adapter changes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from gradus.errors import TrainingError
from gradus.training.groups import find_groups


def linear_names(model: nn.Module) -> list[str]:
    """Full names of all linear layers inside the model's blocks, lowest first.

    Raises:
        TrainingError: the model holds no list of like blocks.
    """
    path = find_groups(model).path
    kinds = (nn.Linear, _conv1d())
    return [
        name
        for name, module in model.named_modules()
        if name.startswith(f"{path}.") and isinstance(module, kinds)
    ]


def resolve(model: nn.Module, wanted: str | Sequence[str]) -> list[str]:
    """Full names of the linear layers that `wanted` names: ``all-linear``, or endings of names,
    in which ``*`` stands for one part (``query``, ``mlp.c_proj``, ``layer.*.output.dense``).

    Raises:
        TrainingError: a name fits no linear layer.
    """
    known = linear_names(model)
    if isinstance(wanted, str):
        return known
    found: dict[str, None] = {}
    for ending in wanted:
        parts = r"[^.]+".join(re.escape(part) for part in ending.split("*"))
        fitting = [name for name in known if re.search(rf"(^|\.){parts}$", name)]
        if not fitting:
            raise TrainingError(
                f"adapter: targets: '{ending}' is no linear layer of this model's blocks; "
                f"they hold {', '.join(short(known))}"
            )
        found.update(dict.fromkeys(fitting))
    return [name for name in known if name in found]


def short(names: Iterable[str]) -> list[str]:
    """The last parts of names, each once."""
    return list(dict.fromkeys(name.rpartition(".")[2] for name in names))


def transposed(model: nn.Module, names: Sequence[str]) -> bool:
    """Whether the layers keep their weights as [in, out], as GPT-2's do."""
    return any(isinstance(model.get_submodule(name), _conv1d()) for name in names)


def _conv1d() -> Any:
    from transformers.pytorch_utils import Conv1D

    return Conv1D
