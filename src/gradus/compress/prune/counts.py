"""Parameters, zeros and floating-point operations of a task's model.

Legend: T tokens of a text, d hidden size, H heads of a layer, k size of a head.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gradus.compress.prune import structure
from gradus.compress.prune.weights import by_rows, matrices
from gradus.errors import TrainingError
from gradus.training.task import Task


def counted(task: Task) -> dict[str, Any]:
    """What the model holds and what a text of dev.select (of train where there is none) costs.

    ``matrix_parameters``, ``nonzero`` and ``sparsity`` are of the layers' matrices;
    ``flops_per_text`` is of a forward pass with its head: 2 for each weight and token (of the head
    for each vector that it reads), ``4 T^2 H k`` for the products of attention in a layer, counted
    whole for causal models too. Zeros are multiplied like other weights.
    """
    layers = task.backbone.groups.layers
    of_layers = [[by_rows(module) for module in matrices(layer).values()] for layer in layers]
    total = sum(w.numel() for found in of_layers for w in found)
    nonzero = sum(int(w.count_nonzero()) for found in of_layers for w in found)
    texts = task.select if len(task.select) else task.train
    lengths = np.asarray(texts.lengths, dtype=np.float64)
    tokens, squares = float(lengths.mean()), float(np.square(lengths).mean())
    attention, head = _head_width(task), task.head.weight
    assert isinstance(head, torch.Tensor)
    vectors = float(task.feature_lengths(texts).mean())
    flops = 2.0 * total * tokens + 4.0 * attention * squares + 2.0 * head.numel() * vectors
    return {
        "layers": len(layers),
        "parameters": sum(p.numel() for p in task.parameters().values()),
        "matrix_parameters": total,
        "nonzero": nonzero,
        "sparsity": 1 - nonzero / total,
        "tokens_per_text": tokens,
        "flops_per_text": flops,
        "sizes": _sizes(task),
    }


def _head_width(task: Task) -> int:
    """Sum over layers of H k."""
    try:
        return sum(layer.groups * layer.shared * layer.head for layer in structure.parts(task))
    except TrainingError:
        # A family whose heads aren't known loses none of them.
        return task.backbone.width * task.backbone.layers


def _sizes(task: Task) -> list[dict[str, int]]:
    """Heads and units by layer; empty for a family whose parts aren't known."""
    try:
        layers = structure.parts(task)
    except TrainingError:
        return []
    return [{"heads": layer.groups * layer.shared, "units": layer.units} for layer in layers]
