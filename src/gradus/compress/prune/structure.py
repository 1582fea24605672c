"""Heads, units and layers: which to keep, and taking the others away.

Legend: L layers, K groups of heads, U units of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch

from gradus.compress.prune.evidence import Evidence, contributions, influences, without_each
from gradus.compress.prune.weights import by_rows
from gradus.training import shapes
from gradus.training.shapes import Layer
from gradus.training.task import Task

# Products over so many units fill the processor's registers; a count in between costs as much.
UNITS: Final = 16


def choose(
    importance: Sequence[np.ndarray],
    keep: float,
    originals: Sequence[int],
    *,
    scope: str,
    multiple: int = 1,
) -> list[np.ndarray]:
    """What stays of each layer: int64, ascending, at least one (or `multiple`) a layer.

    Args:
        importance: by layer, of what it still has; greater stays.
        keep: share of the original numbers that shall stay.
        originals: by layer, how many there once were.
        scope: ``layer`` leaves each layer the same share; ``model`` ranks over all layers, each
            layer's importances brought to a norm of 1 (Michel et al. 2019, section 4).
        multiple: a layer keeps a whole multiple of so many, where it has that many.
    """
    if scope == "layer":
        counts = [round(keep * n) for n in originals]
    else:
        counts = _over_all(importance, round(keep * sum(originals)))
    found = []
    for scores, count in zip(importance, counts, strict=True):
        step = multiple if len(scores) % multiple == 0 else 1
        whole = min(len(scores), max(step, step * round(count / step)))
        order = np.argsort(-scores, kind="stable")[:whole]
        found.append(np.sort(order))
    return found


def _over_all(importance: Sequence[np.ndarray], total: int) -> list[int]:
    """How many of each layer are among the `total` greatest; the best of each layer always is."""
    scaled = [scores / (np.linalg.norm(scores) or 1.0) for scores in importance]
    # The best of each layer comes first, whatever the others are.
    first = [np.where(np.arange(len(s)) == s.argmax(), np.inf, s) for s in scaled]
    owners = np.repeat(np.arange(len(first)), [len(s) for s in first])
    chosen = np.argsort(-np.concatenate(first), kind="stable")[: max(total, len(first))]
    return [int(n) for n in np.bincount(owners[chosen], minlength=len(first))]


def parts(task: Task) -> list[Layer]:
    """The layers' heads and units."""
    return shapes.layers_of(task.backbone.groups.layers, task.backbone.model.config)


def sizes(layers: Sequence[Layer], what: str) -> list[int]:
    """K or U of each layer."""
    return [layer.groups if what == "heads" else layer.units for layer in layers]


def importance(evidence: Evidence, what: str, method: str) -> list[np.ndarray]:
    """Of heads or units by layer, float64 [K] or [U].

    `method` ``michel`` (heads) or ``taylor`` (units) asks the loss on `evidence`; ``magnitude``
    takes the norm of all weights that belong to a group or unit (Li et al. 2017).
    """
    layers = parts(evidence.task)
    if method == "magnitude":
        return [_norms(layer, what) for layer in layers]
    both = contributions(evidence, layers)
    return [pair[0 if what == "heads" else 1] for pair in both]


def _norms(layer: Layer, what: str) -> np.ndarray:
    """The norm of the weights of each group or unit."""
    if what == "units":
        squares = by_rows(layer.fall).double().square().sum(0)
        for module in layer.rise:
            squares = squares + by_rows(module).double().square().sum(1)
        return np.asarray(squares.sqrt().numpy())
    groups = layer.groups
    squares = by_rows(layer.out).double().square().sum(0).view(groups, -1).sum(1)
    for module in layer.inputs:
        rows = by_rows(module).double().square().sum(1)
        fused = len(layer.inputs) == 1
        shaped = rows.view(3, groups, -1).sum((0, 2)) if fused else rows.view(groups, -1).sum(1)
        squares = squares + shaped
    return np.asarray(squares.sqrt().numpy())


def cut(task: Task, what: str, keep: Sequence[np.ndarray]) -> None:
    """Take away all heads or units but `keep`, layer by layer; the tensors shrink."""
    for layer, kept in zip(parts(task), keep, strict=True):
        numbers = torch.from_numpy(np.asarray(kept, dtype=np.int64))
        if what == "heads" and len(kept) < layer.groups:
            shapes.cut_groups(layer, numbers)
        if what == "units" and len(kept) < layer.units:
            shapes.cut_units(layer, numbers)
    shapes.mark(task.backbone.model)
    task.backbone.look_again()


def cut_layers(task: Task, keep: Sequence[int]) -> None:
    """Take away all layers but `keep`."""
    shapes.cut_layers(task.backbone.model, task.backbone.groups.path, keep)
    task.backbone.look_again()


def layers_to_keep(evidence: Evidence, count: int, method: str) -> list[int]:
    """Numbers of the `count` layers that stay, ascending.

    ``removal`` takes away, one after the other, the layer without which the loss on `evidence` is
    least; ``influence`` all at once those that turn the hidden states least; ``top`` the highest
    (Sajjad et al. 2023).
    """
    total = evidence.task.backbone.layers
    if method == "top":
        return list(range(count))
    if method == "influence":
        order = np.argsort(-np.array(influences(evidence)), kind="stable")[:count]
        return sorted(int(number) for number in order)
    gone: list[int] = []
    backbone = evidence.task.backbone
    while total - len(gone) > count:
        with backbone.without(gone):
            losses = without_each(evidence)
        left = [number for number in range(total) if number not in gone]
        gone.append(min(left, key=losses.__getitem__))
    return [number for number in range(total) if number not in gone]
