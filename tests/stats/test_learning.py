"""The law against scipy, the intervals over draws and items against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from gradus.metrics import get
from gradus.metrics.base import Predictions
from gradus.stats import learning, scaling

SIZES = [20, 40, 100, 200, 400, 1000, 2000]


def truth(n: float) -> float:
    return 0.95 - 1.2 * n**-0.5


def items(rng: np.random.Generator, rate: float, hard: np.ndarray) -> Predictions:
    """A checkpoint that is right on a share `rate` of items, on easy ones rather than hard."""
    right = hard + 0.3 * rng.normal(size=len(hard)) < np.quantile(
        hard + 0.3 * rng.normal(size=len(hard)), rate
    )
    gold = np.zeros(len(hard), dtype=np.int64)
    return Predictions(
        gold=gold,
        predicted=np.where(right, 0, 1),
        log_probs=None,
        labels=("a", "b"),
        ids=tuple(str(i) for i in range(len(hard))),
    )


def simulated(seed: int, draws: int = 3, n: int = 400) -> list[list[Predictions]]:
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=n)
    return [
        [
            items(rng, float(np.clip(truth(s) + 0.01 * rng.normal(), 0.01, 0.99)), hard)
            for _ in range(draws)
        ]
        for s in SIZES
    ]


def test_the_law_is_scipys() -> None:
    found = learning.curve(get("accuracy"), SIZES, simulated(0), at=[4000.0], draws=300)
    law = found.law
    assert isinstance(law, scaling.PowerLaw)
    means = [p.value for p in found.points]
    resampled = learning.resampled_points(get("accuracy"), simulated(0), draws=300)
    sd = np.maximum(resampled.std(axis=0), 0.1 * resampled.std(axis=0).max())
    fitted, _ = curve_fit(
        lambda n, a, b, c: a - b * n**-c, SIZES, means, p0=(0.9, 1.0, 0.5), sigma=sd
    )
    assert law.limit == pytest.approx(fitted[0], abs=1e-4)
    assert -law.factor == pytest.approx(fitted[1], rel=1e-3)
    assert law.exponent == pytest.approx(fitted[2], rel=1e-3)
    (there,) = law.predictions
    assert there.value == pytest.approx(fitted[0] - fitted[1] * 4000 ** -fitted[2], abs=1e-4)
    assert there.gain == pytest.approx(law(4000) - law(2000), abs=1e-9)
    assert there.gain_low < there.gain < there.gain_high
    assert there.gain_high - there.gain_low < there.high - there.low


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    points, twice, runs = np.zeros(len(SIZES)), 0, 40
    for seed in range(runs):
        found = learning.curve(
            get("accuracy"), SIZES, simulated(seed), at=[4000.0], draws=200, seed=seed
        )
        points += [p.low <= truth(s) <= p.high for p, s in zip(found.points, SIZES, strict=True)]
        assert isinstance(found.law, scaling.PowerLaw)
        twice += found.law.predictions[0].low <= truth(4000) <= found.law.predictions[0].high
    assert points.sum() / (runs * len(SIZES)) > 0.88
    assert twice / runs > 0.85


def test_one_draw_has_an_interval_of_items_alone_and_more_draws_a_wider_one() -> None:
    metric = get("accuracy")
    rng = np.random.default_rng(0)
    hard = rng.normal(size=2000)
    far = [items(rng, rate, hard) for rate in (0.6, 0.9)]
    one = learning.resampled_points(metric, [[far[0]]], draws=400)
    two = learning.resampled_points(metric, [far], draws=400)
    assert one.std() == pytest.approx((0.6 * 0.4 / 2000) ** 0.5, rel=0.15)
    # Two values 0.3 apart: the mean's standard error is 0.3 / 2, drawn out from 0.3 / 8 ** 0.5.
    assert two.std() == pytest.approx(0.15, rel=0.1)


def test_three_draws_far_apart_are_as_sure_as_student_says() -> None:
    rng, n, held, runs = np.random.default_rng(0), 4000, 0, 200
    gold = np.zeros(n, dtype=np.int64)

    def drawn(rate: float) -> Predictions:
        predicted = (rng.random(n) >= rate).astype(np.int64)
        ids = tuple(map(str, range(n)))
        return Predictions(gold=gold, predicted=predicted, log_probs=None, labels=("a",), ids=ids)

    for seed in range(runs):
        seen = [drawn(float(np.clip(0.6 + 0.05 * rng.normal(), 0, 1))) for _ in range(3)]
        (point,) = learning.curve(get("accuracy"), [20], [seen], draws=100, seed=seed).points
        held += point.low <= 0.6 <= point.high
    # 0.8 without: the spread of three values is a poor guess of that of all.
    assert 0.9 < held / runs < 0.99


def test_intervals_are_of_other_train_sets_though_draws_are_parts_of_one() -> None:
    """Texts of train are good or bad for a model; draws of one set share them, the whole has all.

    The oracle is the simulation itself: the train set is drawn anew each time.
    """
    rng, whole, n, runs, metric = np.random.default_rng(0), 1000, 4000, 150, get("accuracy")
    sizes, gold = [100, 200, 500, 900, 1000], np.zeros(4000, dtype=np.int64)
    ids = tuple(map(str, range(n)))

    def said(rate: float) -> Predictions:
        predicted = (rng.random(n) >= np.clip(rate, 0, 1)).astype(np.int64)
        return Predictions(gold=gold, predicted=predicted, log_probs=None, labels=("a",), ids=ids)

    held = np.zeros((2, len(sizes)))
    for seed in range(runs):
        worth = rng.normal(size=whole)
        orders = [rng.permutation(whole) for _ in range(3)]
        seen = [
            [
                said(truth(size) + 0.7 * worth[order[:size]].mean())
                for order in (orders if size < whole else orders[:1])
            ]
            for size in sizes
        ]
        for row, known in enumerate((None, whole)):
            found = learning.curve(metric, sizes, seen, draws=100, seed=seed, whole=known)
            held[row] += [
                p.low <= truth(s) <= p.high for p, s in zip(found.points, sizes, strict=True)
            ]
    alone, together = held / runs
    assert alone[-1] < 0.6, "of the items alone, as if no other train set could have been drawn"
    assert ((together > 0.88) & (together < 0.99)).all()
    assert together.mean() > 0.92


def test_what_only_seeds_change_is_no_train_set() -> None:
    values = [[0.5, 0.6], [0.5, 0.6], [0.5, 0.6]]
    assert learning.common([10, 50, 100], values, 100) == (0.0, 2)
    assert learning.common([10, 50], [[0.5], [0.6]], 100) == (0.0, 0)
    # One part of half the whole: 0.005 / (1 - 0.5) of n = 50, a half of that at 100.
    assert learning.common([50, 100], [[0.5, 0.6], [0.6]], 100) == pytest.approx((0.005**0.5, 1))


def test_what_no_law_goes_through_is_said() -> None:
    same = simulated(1)[-1]
    found = learning.curve(get("accuracy"), [10, 20], [same, same], draws=100)
    assert isinstance(found.law, str)
