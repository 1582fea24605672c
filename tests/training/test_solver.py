from __future__ import annotations

import numpy as np
import pytest
import torch

from gradus.errors import TrainingError
from gradus.training.solver import solve_head


def data(n: int = 200, d: int = 12, labels: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    draw = np.random.default_rng(0)
    gold = draw.integers(0, labels, n)
    centres = draw.normal(size=(labels, d))
    x = centres[gold] + 1.5 * draw.normal(size=(n, d))
    return torch.from_numpy(x).float(), torch.from_numpy(gold)


@pytest.mark.parametrize("l2", [0.01, 0.1, 1.0, 25.0])
def test_the_solution_is_scikit_learns(l2: float) -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = data()
    ours = solve_head(x, y, 4, l2=l2, iterations=5000)
    theirs = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=10_000).fit(
        x.double().numpy(), y.numpy()
    )
    np.testing.assert_allclose(ours.weight.numpy(), theirs.coef_, atol=2e-4)
    # Biases are free up to a constant, which softmax doesn't see.
    centred = ours.bias.numpy() - ours.bias.numpy().mean()
    np.testing.assert_allclose(centred, theirs.intercept_ - theirs.intercept_.mean(), atol=2e-4)


def test_label_smoothing_is_the_loss_that_is_minimised() -> None:
    x, y = data(80, 5, 3)
    found = solve_head(x, y, 3, l2=0.5, smoothing=0.2, iterations=5000)
    weight, bias = found.weight.double().requires_grad_(), found.bias.double().requires_grad_()
    loss = (
        torch.nn.functional.cross_entropy(
            x.double() @ weight.T + bias, y, label_smoothing=0.2, reduction="sum"
        )
        + 0.25 * weight.square().sum()
    )
    gradients = torch.autograd.grad(loss, (weight, bias))
    assert max(float(g.abs().max()) for g in gradients) < 1e-3
    assert found.loss == pytest.approx(float(loss.detach()), rel=1e-6)


def test_the_same_bits_every_time() -> None:
    x, y = data()
    first, second = (solve_head(x, y, 4, l2=0.1) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


def test_features_that_are_not_finite_are_refused() -> None:
    x, y = data()
    x[3, 3] = torch.nan
    with pytest.raises(TrainingError, match="features that aren't finite"):
        solve_head(x, y, 4, l2=0.1)
