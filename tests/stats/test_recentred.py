"""Intervals of a distance between distributions: how often they hold what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradus.metrics.divergence import Divergence
from gradus.metrics.writings import Writings
from gradus.stats.draws import percentiles, resamples
from gradus.stats.intervals import interval
from gradus.stats.paired import bootstrap


def drawn(rng: np.random.Generator, n: int, own: np.ndarray, human: np.ndarray) -> Writings:
    cell, other = (rng.choice(len(p), (n, 1), p=p).astype(np.float64) for p in (own, human))
    return Writings(
        ("p",) * n,
        ("t",) * n,
        (None,) * n,
        tuple(f"{i:012x}/0" for i in range(n)),
        {"cell": cell, "human_cell": other, "half": np.arange(n) % 2.0},
    )


def shares(cells: int, away: float) -> tuple[np.ndarray, np.ndarray]:
    """A writer's distribution, `away` of whose texts are all in one cell, and people's."""
    human = np.random.default_rng(0).dirichlet(np.full(cells, 3.0))
    own = (1 - away) * human
    own[0] += away
    return own, human


def test_the_value_is_in_its_interval_although_resamples_lie_above() -> None:
    items = drawn(np.random.default_rng(1), 200, *shares(20, 0.2))
    value = Divergence()(items)
    plain = Divergence().weighted(items, resamples(200, 300, np.random.default_rng(0)))
    assert percentiles(plain, 0.95)[0] > value
    found = interval(Divergence(), items, draws=300)
    assert found.method == "recentred bootstrap"
    assert found.low < value < found.high


def test_a_single_text_bounds_nothing_but_the_range() -> None:
    items = drawn(np.random.default_rng(1), 2, *shares(4, 0.5)).take(np.array([0]))
    assert math.isnan(interval(Divergence(), items, draws=50).low)


def test_an_end_of_the_range_is_its_own_interval() -> None:
    n = 20
    alike = drawn(np.random.default_rng(1), n, np.ones(1), np.ones(1))
    found = interval(Divergence(), alike, draws=50)
    assert (found.low, found.high) == pytest.approx((0.0, 0.0), abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "away"), [(60, 0.0), (60, 0.7), (200, 0.3), (200, 0.85)])
def test_intervals_hold_what_so_many_texts_give(n: int, away: float) -> None:
    own, human = shares(n // 10, away)
    rng = np.random.default_rng(2)
    middle = np.median([Divergence()(drawn(rng, n, own, human)) for _ in range(400)])
    held = 0
    for _ in range(200):
        found = interval(Divergence(), drawn(rng, n, own, human), draws=200)
        held += found.low <= middle <= found.high
    # 95 % is said; with 200 runs anything below 90 would be short.
    assert held >= 180


@pytest.mark.slow
def test_equal_writers_are_seldom_told_apart() -> None:
    own, human = shares(6, 0.3)
    rng = np.random.default_rng(3)
    claims = 0
    for _ in range(200):
        one = drawn(rng, 60, own, human)
        two = drawn(rng, 60, own, human)
        two.columns["human_cell"][:] = one.columns["human_cell"]
        claims += bootstrap(Divergence(), one, two, draws=200).low > 0
    # 5 % may be wrong; of 200 that is 10, and more than 18 in one case of a hundred.
    assert claims <= 18
