"""How much the loss rises when one layer alone is pruned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from gradus.compress.prune import structure, weights
from gradus.compress.prune.evidence import Depths, Evidence, without_each
from gradus.training.shapes import Layer, turned
from gradus.training.task import Task


def sensitivity(
    task: Task, what: str, method: str, *, texts: int, amounts: Sequence[float], pattern: str
) -> dict[str, Any]:
    """The loss on texts of train with each layer alone pruned by each of `amounts`.

    Of a layer's heads or units those go that the method thinks least of, of its weights those that
    it would take; nothing is trained afterwards. Layers are taken away whole.

    Returns ``baseline``, ``texts``, ``amounts`` and ``loss`` (by amount, by layer), in nats a term.
    """
    evidence = Evidence.of(task, texts)
    facts: dict[str, Any] = {
        "what": what,
        "method": method,
        "texts": len(evidence.rows),
        "baseline": evidence.mean_loss(),
    }
    if what == "layers":
        return {**facts, "amounts": [1.0], "loss": [without_each(evidence)]}
    if what == "weights" and pattern == "2:4":
        amounts = (0.5,)
    scores = [] if what == "weights" else structure.importance(evidence, what, method)
    rows = []
    depths = Depths(evidence)
    for number in range(task.backbone.layers):
        masks = _masks(depths, number, scores, what, method, amounts, pattern)
        found = []
        for of_amount in masks:
            with _without(of_amount):
                found.append(depths.rest())
        rows.append(found)
        depths.rise()
    return {**facts, "amounts": list(amounts), "loss": np.array(rows).T.tolist()}


Masks = list[tuple[nn.Module, torch.Tensor]]


def _masks(
    depths: Depths,
    number: int,
    scores: Sequence[np.ndarray],
    what: str,
    method: str,
    amounts: Sequence[float],
    pattern: str,
) -> list[Masks]:
    """For each amount the matrices of a layer with what stays of them, bool [R, C] or [C]."""
    task = depths.evidence.task
    if what != "weights":
        layer, own = structure.parts(task)[number], scores[number]
        return [[_columns(layer, what, own, amount)] for amount in amounts]
    found = list(weights.matrices(task.backbone.groups.layers[number]).values())
    ranked = [weights.by_rows(module).abs() for module in found]
    if method == "wanda":
        norms = weights.input_norms(depths, found)
        ranked = [values * norm for values, norm in zip(ranked, norms, strict=True)]
    by_row = method == "wanda"
    return [
        [
            (module, weights.keep(values, amount, pattern=pattern, by_row=by_row))
            for module, values in zip(found, ranked, strict=True)
        ]
        for amount in amounts
    ]


def _columns(
    layer: Layer, what: str, scores: np.ndarray, amount: float
) -> tuple[nn.Module, torch.Tensor]:
    """What reads a layer's heads or units, and which of its inputs stay, bool [C]."""
    stays = weights.lowest(torch.from_numpy(scores), round(amount * len(scores)))
    if what == "units":
        return layer.fall, stays
    return layer.out, stays.repeat_interleave(layer.head * layer.shared)


@contextmanager
def _without(masks: Masks) -> Iterator[None]:
    """Inside the block what the masks leave out is zero."""
    before = [module.weight.detach().clone() for module, _ in masks]  # type: ignore[operator]  # nn.Module types attributes as tensors or modules
    try:
        with torch.no_grad():
            for module, mask in masks:
                weight = module.weight
                assert isinstance(weight, nn.Parameter)
                weight.mul_(_as_kept(module, mask))
        yield
    finally:
        with torch.no_grad():
            for (module, _), saved in zip(masks, before, strict=True):
                weight = module.weight
                assert isinstance(weight, nn.Parameter)
                weight.copy_(saved)


def _as_kept(module: nn.Module, mask: torch.Tensor) -> torch.Tensor:
    """A mask of inputs [C] or of weights [R, C] in the way in which the weight is kept."""
    shaped = mask if mask.ndim == 2 else mask[None]
    return shaped.T if turned(module) else shaped
