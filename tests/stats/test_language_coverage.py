"""Intervals of language models' numbers, by simulation on documents of very different lengths."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from gradus.metrics import get
from gradus.stats import paired
from gradus.testing import populations
from gradus.testing.populations import World

UNITS = (
    "bits_per_byte",
    "word_perplexity",
    "token_perplexity",
    "target_perplexity",
    "log_likelihood_nats",
)
RUNS = 400


@pytest.mark.parametrize("n", [30, 200])
def test_intervals_over_documents_keep_their_word(n: int) -> None:
    """93 to 97 %, give or take three binomial standard errors of this many simulations."""
    made = populations.texts(World(size=20_000), np.random.default_rng(1))
    metrics = [get(name) for name in UNITS]
    slack = 3 * math.sqrt(0.95 * 0.05 / RUNS)
    for name, found in zip(
        UNITS, populations.coverage(metrics, made, n, runs=RUNS, draws=300), strict=True
    ):
        assert found.runs == RUNS
        assert 0.95 - 0.02 - slack <= found.share <= min(0.97 + slack, 1.0), (name, found)


def test_equal_models_are_told_apart_as_seldom_as_the_level_says() -> None:
    """One-sided at 5 %, on the same 40 documents, by numbers of which none is a proportion."""
    made = populations.texts(World(size=20_000), np.random.default_rng(1))
    rng, runs = np.random.default_rng(2), 200
    wrong = dict.fromkeys(("bits_per_byte", "token_perplexity", "log_likelihood_nats"), 0)
    for run in range(runs):
        items = made.take(rng.integers(0, len(made), 40))
        one, two = (
            dataclasses.replace(items, nats=items.nats * (1 + rng.normal(0, 0.1, 40)))
            for _ in range(2)
        )
        for name in wrong:
            wrong[name] += paired.bootstrap(get(name), one, two, draws=200, seed=run).high < 0
    most = 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    assert all(0 < count / runs <= most for count in wrong.values()), wrong
