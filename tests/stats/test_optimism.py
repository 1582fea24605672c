"""The difference of two independent estimates against Newcombe and against simulation."""

from __future__ import annotations

import math

import numpy as np
from statsmodels.stats.proportion import confint_proportions_2indep

from gradus.stats.optimism import Estimate, difference, optimism


def test_of_two_proportions_it_is_newcombes_interval() -> None:
    for hits, n, other, m in ((45, 50, 30, 60), (9, 40, 11, 45), (97, 120, 88, 119)):
        found = difference(
            Estimate(hits / n, *_ends(hits, n)), Estimate(other / m, *_ends(other, m))
        )
        low, high = confint_proportions_2indep(hits, n, other, m, method="newcomb")
        assert math.isclose(found.low, low, abs_tol=1e-9)
        assert math.isclose(found.high, high, abs_tol=1e-9)


def _ends(hits: int, n: int) -> tuple[float, float]:
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(hits, n, method="wilson")
    return float(low), float(high)


def test_the_best_of_many_on_select_is_optimistic_and_the_interval_covers_it() -> None:
    # 30 configurations of the same worth: the best on select owes its lead to chance. What is
    # estimated is the difference of that one score on select from the truth.
    rng = np.random.default_rng(1)
    held, found, n, truth = 0, [], 150, 0.8
    for _ in range(400):
        best = int(rng.binomial(n, truth, size=30).max())
        fresh = int(rng.binomial(n, truth))
        got = optimism(
            Estimate(best / n, *_ends(best, n)),
            Estimate(fresh / n, *_ends(fresh, n)),
            higher=True,
        )
        found.append(got.value)
        held += got.low <= best / n - truth <= got.high
    assert np.mean(found) > 0.04
    assert held / 400 > 0.95


def test_lower_is_better_turns_the_sign() -> None:
    one, two = Estimate(1.0, 0.5, 2.0), Estimate(1.5, 1.0, 3.0)
    turned = optimism(one, two, higher=False)
    assert (turned.value, turned.low, turned.high) == (
        0.5,
        0.5 - math.hypot(0.5, 1.0),
        0.5 + math.hypot(1.5, 0.5),
    )
