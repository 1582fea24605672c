"""The divergence frontier against a slow one in exact and float64 arithmetic, and known areas."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.metrics.divergence import Divergence
from gradus.metrics.frontier import MIXTURES, SCALE, frontier_area
from gradus.metrics.writings import Writings
from gradus.stats.intervals import interval
from gradus.stats.paired import bootstrap


def kl(one: list[float], two: list[float]) -> float:
    total = 0.0
    for a, b in zip(one, two, strict=True):
        if a > 0:
            total += math.inf if b == 0 else a * math.log(a / b)
    return total


def slow_area(p: list[float], q: list[float], mixtures: int = MIXTURES) -> float:
    """The area as the paper's definition reads, one mixture after the other."""
    points = [(1.0, 0.0)]
    for step in range(mixtures):
        share = step / (mixtures - 1)
        mixed = [share * a + (1 - share) * b for a, b in zip(p, q, strict=True)]
        points.append((math.exp(-SCALE * kl(q, mixed)), math.exp(-SCALE * kl(p, mixed))))
    points.append((0.0, 1.0))
    return sum((x0 - x1) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in zip(points, points[1:]))  # noqa: B905, RUF007  # of unequal length on purpose


COUNTS = st.lists(st.integers(0, 9), min_size=2, max_size=6)


def shares(counts: list[int]) -> list[float]:
    return [float(Fraction(c, sum(counts))) for c in counts]


@settings(deadline=None)
@given(st.tuples(COUNTS, COUNTS).filter(lambda both: sum(both[0]) > 0 < sum(both[1])))
def test_the_area_is_that_of_the_definition(both: tuple[list[int], list[int]]) -> None:
    size = min(map(len, both))
    one, two = (counts[:size] for counts in both)
    if not sum(one) or not sum(two):
        return
    p, q = shares(one), shares(two)
    found = float(frontier_area(np.array(p), np.array(q)))
    assert found == pytest.approx(slow_area(p, q), abs=1e-12)
    assert found == pytest.approx(float(frontier_area(np.array(q), np.array(p))), abs=1e-12)
    assert 1 / 252 - 1e-9 <= found <= 1 + 1e-12


@pytest.mark.parametrize("counts", [([9, 1], [1, 9]), ([5, 0, 1], [0, 5, 1]), ([1, 1], [2, 1])])
def test_the_mixtures_are_enough(counts: tuple[list[int], list[int]]) -> None:
    p, q = (shares(of) for of in counts)
    found = float(frontier_area(np.array(p), np.array(q)))
    assert found == pytest.approx(slow_area(p, q, 5001), abs=1e-3)


def test_the_ends_are_equal_and_disjoint_distributions() -> None:
    p, q = np.array([0.3, 0.7, 0.0]), np.array([0.0, 0.0, 1.0])
    assert float(frontier_area(p, p)) == pytest.approx(1.0, abs=1e-12)
    # There x = (1 - a)^5 and y = a^5, so the area is 5 B(6, 5) = 5 * 5! 4! / 10! = 1/252.
    assert float(frontier_area(p, q)) == pytest.approx(1 / 252, abs=1e-4)


def test_moving_mass_away_shrinks_the_area() -> None:
    q = np.array([0.25, 0.25, 0.25, 0.25])
    apart = [np.array([0.25 + 3 * e, *(0.25 - e,) * 3]) for e in (0.0, 0.05, 0.1, 0.2, 0.25)]
    areas = frontier_area(np.stack(apart), np.stack([q] * 5))
    assert (np.diff(areas) < 0).all()


def written(
    cell: np.ndarray, human: np.ndarray, half: np.ndarray | None = None, each: int = 1
) -> Writings:
    n = len(cell)
    of = np.arange(n) % 2 if half is None else half
    return Writings(
        ("p",) * n,
        ("t",) * n,
        (None,) * n,
        tuple(f"{i // each:012x}/{i % each}" for i in range(n)),
        {"cell": cell, "human_cell": human, "half": np.asarray(of, np.float64)},
    )


def slow_divergence(items: Writings) -> float:
    cell, human = items.columns["cell"], items.columns["human_cell"]
    half, values = items.columns["half"], []
    for m in range(cell.shape[1]):
        for side in (0, 1):
            own = [c for c, h in zip(cell[:, m], half, strict=True) if h == side]
            theirs = [c for c, h in zip(human[:, m], half, strict=True) if h != side]
            cells = sorted({*own, *theirs})
            p = [own.count(c) / len(own) for c in cells]
            q = [theirs.count(c) / len(theirs) for c in cells]
            values.append(1 - slow_area(p, q))
    return sum(values) / len(values)


def test_a_writer_is_held_against_the_other_half_of_the_prompts() -> None:
    rng = np.random.default_rng(0)
    cell, human = (rng.integers(0, 4, (30, 3)).astype(np.float64) for _ in range(2))
    items = written(cell, human)
    assert Divergence()(items) == pytest.approx(slow_divergence(items), abs=1e-12)


def test_weights_are_repeats_and_unknown_rows_are_left_out() -> None:
    rng = np.random.default_rng(1)
    cell, human = (rng.integers(0, 3, (14, 2)).astype(np.float64) for _ in range(2))
    items = written(cell, human)
    weights = rng.integers(0, 4, (6, 14)).astype(np.float64)
    weights[:, :2] = 1  # both halves have something
    repeated = [items.take(np.repeat(np.arange(14), w.astype(int))) for w in weights]
    expected = [Divergence()(part) for part in repeated]
    assert Divergence().weighted(items, weights) == pytest.approx(expected, abs=1e-12)
    human[3:7] = np.nan
    kept = np.r_[0:3, 7:14]
    assert Divergence()(written(cell, human)) == pytest.approx(Divergence()(items.take(kept)))


def test_nothing_to_hold_a_writer_against_gives_no_number() -> None:
    cell = np.zeros((4, 1))
    lost = written(cell, np.full((4, 1), np.nan))
    assert not Divergence.asked_of(lost)
    assert math.isnan(Divergence()(lost))
    assert Divergence.asked_of(written(cell, cell))
    one_half = written(cell, cell, half=np.zeros(4))
    assert math.isnan(Divergence()(one_half))


def test_the_nearer_writer_is_nearer_and_a_test_finds_it() -> None:
    rng = np.random.default_rng(2)
    human = rng.choice(6, (80, 5)).astype(np.float64)
    near = rng.choice(6, (80, 5), p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.1]).astype(np.float64)
    far = rng.choice(6, (80, 5), p=[0.9, 0.02, 0.02, 0.02, 0.02, 0.02]).astype(np.float64)
    people, one, two = (written(c, human) for c in (human, near, far))
    values = [Divergence()(of) for of in (people, one, two)]
    assert values == sorted(values)
    assert values[0] > 0.005  # chance alone, which is why people's value is given
    found = bootstrap(Divergence(), two, one, draws=500)
    assert found.low > 0
    # The same texts in another order: no claim either way.
    shuffled = written(near[rng.permutation(80)], human)
    apart = bootstrap(Divergence(), shuffled, one, draws=500)
    assert apart.low <= 0 <= apart.high
    ends = interval(Divergence(), one, draws=500)
    assert ends.low < values[1] < ends.high
