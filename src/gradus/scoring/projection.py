"""From hidden states to log-likelihoods of tokens, never with a whole row of batch x vocabulary.

Legend: n hidden states, d their size, V vocabulary, R readings.

The vocabulary is taken in tiles that stay in the processor's cache: of each tile only its largest
logit and its sum of exponentials are kept, and the logits of the tokens that are asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gradus.scoring.products import products

# Rows and columns of a tile: 2 MB in float32.
ROWS, COLUMNS = 256, 2048


class Projection:
    """The language-model head, read one tile at a time.

    Attributes:
        head: the module that gives logits [n, V].
        rounded: whether products may be taken of numbers rounded to bfloat16; their sums are
            float32 either way.
    """

    def __init__(self, head: Any, *, rounded: bool = False) -> None:
        self.head, self.rounded = head, rounded
        self._plain = type(head) is torch.nn.Linear
        self._tile = torch.empty(0)

    def read(
        self,
        hidden: torch.Tensor,
        rows: np.ndarray,
        tokens: np.ndarray,
        *,
        among: torch.Tensor | None = None,
        ranked: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log-likelihood in nats, float64 [R], and whether no token is likelier, bool [R].

        Args:
            hidden: [n, d].
            rows: int64 [R], at which hidden state each token is read.
            tokens: int64 [R].
            among: bool [V]; readings that are `ranked` only compete with these tokens.
            ranked: bool [R].
        """
        nats, greedy = np.empty(len(rows)), np.empty(len(rows), dtype=np.bool_)
        for low in range(0, len(hidden), ROWS):
            here = np.flatnonzero((rows >= low) & (rows < low + ROWS))
            if not len(here):
                continue
            part = hidden[low : low + ROWS].float()
            at, wanted = rows[here] - low, tokens[here]
            with products(rounded=self.rounded):
                chosen, total, best, allowed = self._tiles(part, at, wanted, among)
            nats[here] = chosen - total[at]
            rivals = best[at]
            if ranked is not None:
                rivals = np.where(ranked[here], allowed[at], rivals)
            greedy[here] = chosen >= rivals
        return nats, greedy

    def _tiles(
        self, hidden: torch.Tensor, at: np.ndarray, tokens: np.ndarray, among: torch.Tensor | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """float64: the tokens' logits [R]; log of the sum of exponentials, largest logit and
        largest one `among` [n]."""
        chosen = np.empty(len(tokens))
        sums, tops, allowed = [], [], []
        order = np.argsort(tokens, kind="stable")
        ranked = tokens[order]
        size = self.head.weight.shape[0] if self._plain else None
        for start in range(0, size or 1, COLUMNS):
            tile = self._logits(hidden, start)
            stop = start + tile.shape[1]
            here = order[np.searchsorted(ranked, start) : np.searchsorted(ranked, stop)]
            if len(here):
                picked = tile[torch.from_numpy(at[here]), torch.from_numpy(tokens[here] - start)]
                chosen[here] = picked.double().numpy()
            if among is not None:
                rivals = tile[:, among[start:stop]]
                nothing = torch.full((len(tile),), -torch.inf)
                allowed.append(rivals.amax(dim=1) if rivals.shape[1] else nothing)
            top = tile.amax(dim=1)
            tops.append(top)
            sums.append(tile.sub_(top[:, None]).exp_().sum(dim=1).log_().add_(top))
        best = torch.stack(tops).amax(dim=0).double().numpy()
        total = torch.stack(sums).double().logsumexp(dim=0).numpy()
        if among is None:
            return chosen, total, best, best
        return chosen, total, best, torch.stack(allowed).amax(dim=0).double().numpy()

    def _logits(self, hidden: torch.Tensor, start: int) -> torch.Tensor:
        """float32 [n, up to COLUMNS], of the tokens from `start` on; ours to overwrite."""
        if not self._plain:
            logits: torch.Tensor = self.head(hidden).float()
            return logits.clone()
        weight = self.head.weight[start : start + COLUMNS]
        if self._tile.shape != (len(hidden), len(weight)):
            self._tile = torch.empty(len(hidden), len(weight))
        torch.mm(hidden, weight.T, out=self._tile)
        if self.head.bias is not None:
            self._tile += self.head.bias[start : start + COLUMNS]
        return self._tile


def read_logits(
    logits: torch.Tensor, tokens: np.ndarray, *, among: torch.Tensor | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """As `Projection.read`, from logits [R, V] that are there; only the first row is ranked."""
    chosen = logits[torch.arange(len(logits)), torch.from_numpy(tokens)]
    nats = chosen.double() - logits.logsumexp(dim=-1).double()
    best = logits.amax(dim=-1)
    if among is not None:
        best[0] = logits[0, among].amax() if among.any() else -torch.inf
    return nats.numpy(), (chosen >= best).numpy()
