"""A linear head solved rather than descended to.

Legend: N examples, d features, K labels.

Minimises ``sum_i CE(y_i, W x_i + b) + l2 / 2 * |W|^2``, multinomial logistic regression with its
biases unpenalised (scikit-learn's `LogisticRegression` with ``C = 1 / l2``), by L-BFGS
(Liu & Nocedal 1989). The problem is convex, so the starting point doesn't matter. Where a text has
any number of labels, CE is the sum of K binary cross-entropies: K independent logistic regressions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from gradus.errors import TrainingError

# Up to this many products a pass, double precision costs less than a second in all.
DOUBLE_UP_TO = 20_000_000


@dataclass(frozen=True, slots=True)
class Solution:
    """W float32 [K, d], b float32 [K], and how the solver ended."""

    weight: torch.Tensor
    bias: torch.Tensor
    iterations: int
    loss: float


def solve_head(
    features: torch.Tensor,
    labels: torch.Tensor,
    count: int,
    *,
    l2: float,
    smoothing: float = 0.0,
    weights: torch.Tensor | None = None,
    iterations: int = 200,
) -> Solution:
    """Solve for `features` [N, d] and K = `count`.

    `labels` is int64 [N], or float [N, K] of zeros and ones where each label stands for itself.

    `weights` [K] multiplies the cross-entropy of each example by its label's weight
    (scikit-learn's `class_weight`).

    Raises:
        TrainingError: features or the solution aren't finite.
    """
    if not bool(torch.isfinite(features).all()):
        raise TrainingError("train: head: the model gives features that aren't finite numbers")
    n, d = features.shape
    dtype = torch.float64 if n * d * count <= DOUBLE_UP_TO else torch.float32
    # Unit scale for the penalised weights makes the problem well conditioned whatever l2 is.
    unit = 1.0 / np.sqrt(l2) if l2 > 0 else 1.0
    scaled = features.to(dtype) * unit

    weight = torch.zeros(count, d, dtype=dtype, requires_grad=True)
    bias = torch.zeros(count, dtype=dtype, requires_grad=True)
    tolerance = 1e-10 if dtype == torch.float64 else 1e-7
    # torch's solver rather than scipy's: its memory is aligned, so the same bits come every time.
    solver = torch.optim.LBFGS(
        [weight, bias],
        max_iter=iterations,
        max_eval=2 * iterations,
        history_size=10,
        tolerance_grad=tolerance,
        tolerance_change=tolerance**1.5,
        line_search_fn="strong_wolfe",
    )

    by_label = weights.to(dtype) if weights is not None else None

    def objective() -> torch.Tensor:
        solver.zero_grad()
        loss = _summed(scaled @ weight.T + bias, labels, by_label, smoothing)
        if l2 > 0:
            loss = loss + 0.5 * weight.square().sum()
        loss = loss / n
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return loss

    with torch.enable_grad():
        solver.step(objective)  # type: ignore[no-untyped-call]  # as above
        loss = float(objective().detach()) * n
    if not np.isfinite(loss):
        raise TrainingError("train: head: the solver found no finite solution; raise l2")
    return Solution(
        weight=(weight.detach() * unit).float().contiguous(),
        bias=bias.detach().float().contiguous(),
        iterations=int(solver.state[weight]["n_iter"]),
        loss=loss,
    )


def _summed(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None, smoothing: float
) -> torch.Tensor:
    """Cross-entropy in nats over `logits` [N, K]; each label by itself where `labels` is [N, K]."""
    if labels.ndim == 2:
        gold = labels.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        return binary_cross_entropy_with_logits(logits, gold, weight=weights, reduction="sum")
    return cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing, reduction="sum")
