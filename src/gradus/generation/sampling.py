"""Choosing the next token.

Legend: B rows, V tokens of the vocabulary, K tokens that are left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from gradus.generation.decoding import Decoding

if TYPE_CHECKING:
    import numpy as np

Ids = Sequence[int]


def draws(seed: int) -> np.random.Generator:
    """The uniform numbers that one prompt's tokens are drawn by: one a token, in order."""
    import numpy as np

    return np.random.Generator(np.random.Philox(key=seed))


def penalised(
    logits: torch.Tensor, settings: Decoding, prompts: Sequence[Ids], written: Sequence[Ids]
) -> torch.Tensor:
    """Logits [B, V] after the penalties; themselves where there are none.

    The repetition penalty counts tokens of a row's prompt and of what was written, the others those
    that were written alone.
    """
    if not settings.penalises:
        return logits
    found = logits.clone()
    for row, (prompt, new) in enumerate(zip(prompts, written, strict=True)):
        if settings.repetition_penalty != 1:
            seen = torch.tensor(sorted({*prompt, *new}), dtype=torch.long)
            # A tokenizer may have more tokens than the model has words to say.
            seen = seen[seen < found.shape[-1]]
            values, factor = found[row, seen], settings.repetition_penalty
            found[row, seen] = torch.where(values < 0, values * factor, values / factor)
        if new and (settings.frequency_penalty or settings.presence_penalty):
            for token, times in Counter(new).items():
                found[row, token] -= settings.frequency_penalty * times + settings.presence_penalty
    return found


def kept(logits: torch.Tensor, settings: Decoding) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What is drawn from: shares float64 [B, K], 0 for what is filtered out, and their tokens.

    The shares needn't sum to 1. The tokens are int64 [B, K]; None stands for the whole vocabulary
    in its order.
    """
    scaled = logits.double() / settings.temperature
    order: torch.Tensor | None = None
    if settings.top_k is not None and settings.top_k < scaled.shape[-1]:
        scaled, order = scaled.topk(settings.top_k, dim=-1)
    elif settings.min_p is not None or min(settings.top_p or 1, settings.typical_p or 1) < 1:
        scaled, order = scaled.sort(dim=-1, descending=True, stable=True)
    shares = scaled.softmax(dim=-1)
    if settings.top_p is not None and settings.top_p < 1:
        # A token stays while those before it haven't reached the share yet.
        before = shares.cumsum(dim=-1) - shares
        shares = torch.where(before < settings.top_p, shares, 0.0)
    if settings.min_p is not None:
        shares = torch.where(shares >= settings.min_p * shares[:, :1], shares, 0.0)
    if settings.typical_p is not None and settings.typical_p < 1:
        shares = _typical(shares / shares.sum(dim=-1, keepdim=True), settings.typical_p)
    return shares, order


def _typical(shares: torch.Tensor, mass: float) -> torch.Tensor:
    """The shares [B, K], which sum to 1, of the most typical tokens that reach `mass`, else 0."""
    entropy = torch.special.entr(shares).sum(dim=-1, keepdim=True)
    far, order = (-shares.log() - entropy).abs().sort(dim=-1, stable=True)
    near = shares.gather(-1, order)
    before = near.cumsum(dim=-1) - near
    # Of tokens that are equally far, those with the last one's distance stay together.
    last = (before < mass).sum(dim=-1, keepdim=True) - 1
    stays = torch.zeros_like(shares, dtype=torch.bool)
    stays.scatter_(-1, order, far <= far.gather(-1, last))
    return torch.where(stays, shares, 0.0)


def distribution(logits: torch.Tensor, settings: Decoding) -> torch.Tensor:
    """float64 [B, V], the probabilities that tokens are drawn with, for logits [B, V].

    Greedy, the most probable token has all.
    """
    if not settings.draws:
        best = logits.argmax(dim=-1, keepdim=True)
        return torch.zeros_like(logits, dtype=torch.float64).scatter_(-1, best, 1.0)
    shares, order = kept(logits, settings)
    shares = shares / shares.sum(dim=-1, keepdim=True)
    if order is None:
        return shares
    return torch.zeros_like(logits, dtype=torch.float64).scatter_(-1, order, shares)


def choose(logits: torch.Tensor, settings: Decoding, uniform: torch.Tensor) -> torch.Tensor:
    """int64 [B], the next token of each row of logits [B, V].

    A token is drawn by inverting the distribution function at `uniform` (float64 [B], in [0, 1)),
    so that a row's token depends on its own logits and number alone. Greedy takes the first of
    the most probable tokens.
    """
    if not settings.draws:
        return logits.argmax(dim=-1)
    shares, order = kept(logits, settings)
    sums = shares.cumsum(dim=-1)
    aims = uniform[:, None] * sums[:, -1:]
    places = torch.searchsorted(sums, aims, right=True)
    # Rounding may put an aim at the sum itself, past the last token that has a share.
    last = (shares > 0).long().cumsum(dim=-1).argmax(dim=-1, keepdim=True)
    places = torch.minimum(places, last)
    return (places if order is None else order.gather(1, places))[:, 0]
