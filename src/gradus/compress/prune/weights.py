"""Single weights set to zero, by magnitude or by Wanda, anywhere or two in every four.

Legend: a matrix has R outputs and C inputs; masks are bool [R, C] or as the weight is kept, True
where a weight stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from gradus.compress.prune.evidence import Depths, Evidence, seeing
from gradus.errors import TrainingError
from gradus.training.shapes import turned
from gradus.training.task import Task

FOUR = 4


def matrices(layer: nn.Module) -> dict[str, nn.Module]:
    """The modules of a layer whose matrix multiplies hidden states, by name."""
    found = {}
    for name, module in layer.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(module, nn.Linear) or (turned(module) and weight is not None):
            found[name] = module
    return found


def by_rows(module: nn.Module) -> torch.Tensor:
    """A view of the weight, [R, C]."""
    weight = module.weight
    assert isinstance(weight, nn.Parameter)
    return weight.detach().T if turned(module) else weight.detach()


def lowest(scores: torch.Tensor, count: int) -> torch.Tensor:
    """bool [n], True but at the `count` lowest of n scores; of equal ones the first go."""
    stays = torch.ones(len(scores), dtype=torch.bool)
    stays[scores.argsort(stable=True)[:count]] = False
    return stays


def row_masks(scores: torch.Tensor, amount: float) -> torch.Tensor:
    """bool [R, C]: in each row the share `amount` of the lowest scores goes."""
    count = round(amount * scores.shape[1])
    stays = torch.ones_like(scores, dtype=torch.bool)
    return stays.scatter_(1, scores.argsort(dim=1, stable=True)[:, :count], False)


def two_of_four(scores: torch.Tensor) -> torch.Tensor:
    """bool [R, C]: of every four neighbouring inputs of a row the two with the lowest scores go.

    The pattern that NVIDIA's sparse tensor cores multiply (Mishra et al. 2021).

    Raises:
        TrainingError: C isn't a multiple of four.
    """
    rows, columns = scores.shape
    if columns % FOUR:
        raise TrainingError(
            f"pattern 2:4 takes inputs by fours, and a matrix has {columns}: take unstructured"
        )
    fours = scores.reshape(rows, columns // FOUR, FOUR)
    stays = torch.ones_like(fours, dtype=torch.bool)
    stays.scatter_(2, fours.argsort(dim=2, stable=True)[..., : FOUR // 2], False)
    return stays.view(rows, columns)


def keep(scores: torch.Tensor, amount: float, *, pattern: str, by_row: bool) -> torch.Tensor:
    """bool [R, C]: what stays of a matrix with these scores."""
    if pattern == "2:4":
        return two_of_four(scores)
    if by_row:
        return row_masks(scores, amount)
    return lowest(scores.flatten(), round(amount * scores.numel())).view(scores.shape)


def magnitude(task: Task, amount: float, *, pattern: str, scope: str) -> dict[str, torch.Tensor]:
    """Masks by parameter name: the smallest weights go (Han et al. 2015).

    Args:
        task: what holds the weights.
        amount: share of each matrix, or with `scope` ``model`` of all together.
        pattern: ``unstructured`` or ``2:4``.
        scope: ``layer`` or ``model``.
    """
    found = _named(task)
    scores = {name: by_rows(module).abs() for name, module in found.items()}
    if scope == "layer" or pattern == "2:4":
        masks = {n: keep(s, amount, pattern=pattern, by_row=False) for n, s in scores.items()}
    else:
        every = torch.cat([s.flatten() for s in scores.values()])
        chosen = lowest(every, round(amount * len(every)))
        parts = torch.split_with_sizes(chosen, [s.numel() for s in scores.values()])
        masks = {n: p.view(s.shape) for (n, s), p in zip(scores.items(), parts, strict=True)}
    return {name: _kept(found[name], mask) for name, mask in masks.items()}


def wanda(
    task: Task, evidence: Evidence, amount: float, *, pattern: str
) -> dict[str, torch.Tensor]:
    """Masks by parameter name: in each row the weights go whose magnitude times the norm of their
    input over the texts of `evidence` is least (Sun et al. 2024, equation 1).

    Layer by layer: a layer sees what the layers below give after they were pruned. The weights
    that go are set to zero on the way.
    """
    depths, found = Depths(evidence), dict[str, torch.Tensor]()
    backbone = task.backbone
    task.backbone.model.eval()
    for number, layer in enumerate(backbone.groups.layers):
        named = matrices(layer)
        norms = input_norms(depths, list(named.values()))
        masks = {}
        for (name, module), norm in zip(named.items(), norms, strict=True):
            scores = by_rows(module).abs() * norm
            stays = keep(scores, amount, pattern=pattern, by_row=True)
            masks[f"{backbone.groups.path}.{number}.{name}.weight"] = _kept(module, stays)
        apply(task, masks)
        found |= masks
        depths.rise()
    return found


def input_norms(depths: Depths, modules: Sequence[nn.Module]) -> list[torch.Tensor]:
    """Euclidean norm over all tokens of each input of the modules of a layer, float32 [C] each."""
    squares = [torch.zeros(by_rows(m).shape[1], dtype=torch.float64) for m in modules]
    with seeing(modules) as seen:
        for _ in depths.through():
            pass
    for total, kept in zip(squares, seen, strict=True):
        for values in kept:
            total += values.flatten(0, -2).double().square().sum(0)
    return [total.sqrt().float() for total in squares]


def _named(task: Task) -> dict[str, nn.Module]:
    """Every matrix of the layers by the name of its parameter in the task."""
    groups = task.backbone.groups
    return {
        f"{groups.path}.{number}.{name}.weight": module
        for number, layer in enumerate(groups.layers)
        for name, module in matrices(layer).items()
    }


def _kept(module: nn.Module, mask: torch.Tensor) -> torch.Tensor:
    """A mask [R, C] as the weight is kept."""
    return mask.T.contiguous() if turned(module) else mask


@torch.no_grad()
def apply(task: Task, masks: Mapping[str, torch.Tensor]) -> None:
    """Set to zero what the masks leave out."""
    parameters = task.parameters()
    for name, mask in masks.items():
        parameters[name].mul_(mask)


@contextmanager
def held(task: Task, masks: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Inside the block, weights at zero stay there, whatever optimiser trains the task.

    Their gradients are none, so that neither the gradient's norm nor the optimiser's memory counts
    them; and after every update they are set to zero, since some optimisers (Muon) move a weight
    by what others got.
    """
    parameters = task.parameters()
    pairs = [(parameters[name], mask) for name, mask in masks.items()]

    @torch.no_grad()
    def again(*_: Any) -> None:
        for parameter, mask in pairs:
            parameter.mul_(mask)

    with ExitStack() as stack:
        for parameter, mask in pairs:
            parameter.requires_grad_(True)
            slope = parameter.register_hook(lambda g, m=mask: g * m)  # type: ignore[no-untyped-call]  # torch leaves it untyped
            stack.enter_context(slope)
        handle = register_optimizer_step_post_hook(again)
        stack.callback(handle.remove)
        yield
