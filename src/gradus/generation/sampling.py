"""Choosing the next token.

Legend: B rows, V tokens of the vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradus.generation.decoding import Decoding

if TYPE_CHECKING:
    import numpy as np


def draws(seed: int) -> np.random.Generator:
    """The uniform numbers that one prompt's tokens are drawn by: one a token, in order."""
    import numpy as np

    return np.random.Generator(np.random.Philox(key=seed))


def choose(logits: torch.Tensor, settings: Decoding, uniform: torch.Tensor) -> torch.Tensor:
    """int64 [B], the next token of each row of logits [B, V].

    A token is drawn by inverting the distribution function at `uniform` (float64 [B], in [0, 1)),
    so that a row's token depends on its own logits and number alone. Greedy takes the first of
    the most probable tokens.
    """
    if settings.greedy:
        return logits.argmax(dim=-1)
    scaled = logits.double() / settings.temperature
    order: torch.Tensor | None = None
    if settings.top_k is not None and settings.top_k < scaled.shape[-1]:
        scaled, order = scaled.topk(settings.top_k, dim=-1)
    elif settings.top_p is not None and settings.top_p < 1:
        scaled, order = scaled.sort(dim=-1, descending=True, stable=True)
    shares = scaled.softmax(dim=-1)
    if order is not None and settings.top_p is not None and settings.top_p < 1:
        # A token stays while those before it haven't reached the share yet.
        before = shares.cumsum(dim=-1) - shares
        shares = torch.where(before < settings.top_p, shares, 0.0)
    sums = shares.cumsum(dim=-1)
    aims = uniform[:, None] * sums[:, -1:]
    places = torch.searchsorted(sums, aims, right=True)
    # Rounding may put an aim at the sum itself, past the last token that has a share.
    last = (shares > 0).long().cumsum(dim=-1).argmax(dim=-1, keepdim=True)
    places = torch.minimum(places, last)
    return (places if order is None else order.gather(1, places))[:, 0]
