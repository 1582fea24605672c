"""A linear softmax head solved rather than descended to.

Legend: N examples, d features, K labels.

Minimises ``sum_i CE(y_i, W x_i + b) + l2 / 2 * |W|^2``, multinomial logistic regression with its
biases unpenalised (scikit-learn's `LogisticRegression` with ``C = 1 / l2``), by L-BFGS
(Liu & Nocedal 1989). The problem is convex, so the starting point doesn't matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy

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
    iterations: int = 200,
) -> Solution:
    """Solve for `features` [N, d], `labels` int64 [N] and K = `count`.

    Raises:
        TrainingError: features or the solution aren't finite.
    """
    from scipy.optimize import minimize

    if not bool(torch.isfinite(features).all()):
        raise TrainingError("train: head: the model gives features that aren't finite numbers")
    n, d = features.shape
    dtype = torch.float64 if n * d * count <= DOUBLE_UP_TO else torch.float32
    # Unit scale for the penalised weights makes the problem well conditioned whatever l2 is.
    unit = 1.0 / np.sqrt(l2) if l2 > 0 else 1.0
    scaled = features.to(dtype) * unit

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        point = torch.from_numpy(flat).to(dtype).view(count, d + 1).requires_grad_()
        weight, bias = point[:, :d], point[:, d]
        loss = cross_entropy(
            scaled @ weight.T + bias, labels, label_smoothing=smoothing, reduction="sum"
        )
        loss = (loss + (0.5 * weight.square().sum() if l2 > 0 else 0.0)) / n
        (gradient,) = torch.autograd.grad(loss, point)
        return float(loss.detach()), gradient.double().view(-1).numpy()

    tolerance = 1e-9 if dtype == torch.float64 else 1e-6
    found = minimize(
        objective,
        np.zeros(count * (d + 1)),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": iterations, "maxcor": 10, "gtol": tolerance, "ftol": tolerance**1.5},
    )
    if not np.isfinite(found.fun):
        raise TrainingError("train: head: the solver found no finite solution; raise l2")
    point = torch.from_numpy(found.x).view(count, d + 1)
    return Solution(
        weight=(point[:, :d] * unit).float().contiguous(),
        bias=point[:, d].float().contiguous(),
        iterations=int(found.nit),
        loss=float(found.fun) * n,
    )
