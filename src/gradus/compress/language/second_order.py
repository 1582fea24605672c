"""Rounding that makes up for its own errors, by what the model computes on texts of train.

Legend: O outputs (rows), I inputs (columns), N tokens.

Source: Frantar et al. 2022, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers". Columns are rounded one after another, those of the largest inputs first; what a
column loses is made up for in the columns that aren't rounded yet, so that the products with the
inputs that were seen change least. The integers and their scales have the form of plain rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch

from gradus.compress.language.rounding import Rounded, matrices, rounded

DAMPING: Final = 0.01
"""Added to the diagonal, as a share of its mean, as in the paper: few texts leave it singular."""
COLUMNS: Final = 128
"""Columns whose errors are handed on at once."""
_MOST: Final = 127

Products = dict[str, torch.Tensor]
"""Inputs of a linear layer times themselves, float32 [I, I], by the layer's name."""


def products(
    model: Any, texts: Sequence[Sequence[int]], progress: Callable[[int], None] | None = None
) -> Products:
    """X'X of the inputs X [N, I] of each linear layer over all tokens of `texts`.

    Layers that are given the same tensor share one.

    Args:
        model: a causal language model of transformers.
        texts: token ids.
        progress: called with the number of texts done.
    """
    found: Products = {}
    same: dict[str, str] = {}
    last: list[tuple[torch.Tensor, str]] = []
    words = model.get_input_embeddings()

    def watch(name: str) -> Callable[..., None]:
        def see(module: Any, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
            x = inputs[0]
            if last and last[0][0] is x:
                same[name] = last[0][1]
                return
            last[:] = [(x, name)]
            flat = x.reshape(-1, x.shape[-1]).float()
            found[name] = found.get(name, 0) + flat.T @ flat

        return see

    layers = {name: one for name, one in matrices(model).items() if one is not words}
    hooks = [one.register_forward_hook(watch(name)) for name, one in layers.items()]
    try:
        with torch.inference_mode():
            for done, ids in enumerate(texts, start=1):
                last.clear()
                model(input_ids=torch.tensor([list(ids)]), use_cache=False)
                if progress is not None:
                    progress(done)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: found[same.get(name, name)] for name in layers}


def compensated(weight: torch.Tensor, inputs: torch.Tensor) -> Rounded:
    """8-bit integers with the scales of plain rounding, chosen to keep ``x W'`` rather than W.

    With inputs that have nothing to do with one another it is plain rounding.

    Args:
        weight: [O, I], finite.
        inputs: X'X, float32 [I, I].
    """
    scales = rounded(weight, 8).scales
    damped = inputs.clone()
    diagonal = damped.diagonal()
    diagonal.add_(DAMPING * diagonal.mean().clamp_min(torch.finfo(torch.float32).tiny))
    order = torch.argsort(diagonal, descending=True, stable=True)
    left = weight.detach().float()[:, order].clone()
    # Row i of the factor says how an error of column i is spread over those after it.
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped[order][:, order]))
    spread = torch.linalg.cholesky(inverse, upper=True)
    values = torch.empty_like(left)
    for low in range(0, left.shape[1], COLUMNS):
        high = min(low + COLUMNS, left.shape[1])
        errors = _block(left[:, low:high], values[:, low:high], scales, spread[low:high, low:high])
        left[:, high:] -= errors @ spread[low:high, high:]
    return Rounded(values[:, torch.argsort(order)].to(torch.int8), scales, 8)


def _block(
    left: torch.Tensor, values: torch.Tensor, scales: torch.Tensor, spread: torch.Tensor
) -> torch.Tensor:
    """Round some columns into `values`; their errors, as columns after them take them."""
    errors = torch.empty_like(left)
    for i in range(left.shape[1]):
        column = left[:, i]
        values[:, i] = (column / scales[:, 0]).round().clamp_(-_MOST, _MOST)
        errors[:, i] = (column - values[:, i] * scales[:, 0]) / spread[i, i]
        left[:, i + 1 :] -= errors[:, i, None] * spread[None, i, i + 1 :]
    return errors
