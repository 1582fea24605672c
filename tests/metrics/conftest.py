from __future__ import annotations

import numpy as np
import pytest

from gradus.metrics.base import Predictions


def random_predictions(
    n: int, k: int, *, seed: int = 0, accuracy: float = 0.8, used: int | None = None
) -> Predictions:
    """n items over k labels, of which only the first `used` occur; probabilities to match."""
    rng = np.random.default_rng(seed)
    used = k if used is None else used
    gold = rng.integers(0, used, n)
    scores = rng.normal(size=(n, k))
    scores[np.arange(n), np.where(rng.random(n) < accuracy, gold, rng.integers(0, used, n))] += 4
    log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    parent = scores + rng.normal(size=(n, k)) * 0.3
    parent -= np.log(np.exp(parent).sum(axis=1, keepdims=True))
    return Predictions(
        gold=gold,
        predicted=log_probs.argmax(axis=1),
        log_probs=log_probs,
        labels=tuple(f"label {i}" for i in range(k)),
        ids=tuple(f"{i:064x}" for i in range(n)),
        parent_log_probs=parent,
    )


@pytest.fixture
def predictions() -> Predictions:
    return random_predictions(400, 7)
