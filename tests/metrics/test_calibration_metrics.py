from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.metrics.conftest import random_predictions

from gradus.metrics import get
from gradus.metrics.base import Predictions
from gradus.stats import paired
from gradus.stats.intervals import interval

LABELS = ("a", "b", "c")


def items(sure: list[float], right: list[bool]) -> Predictions:
    """Items whose first label is predicted so surely."""
    p = np.array(sure)
    rows = np.log(np.stack([p, (1 - p) * 0.75, (1 - p) * 0.25], axis=1))
    gold = np.where(right, 0, 1)
    return Predictions(gold, np.zeros(len(p), np.int64), rows, LABELS)


def aurc_by_hand(sure: list[float], right: list[bool]) -> float:
    """The mean over all orders that respect the confidences, each worked out item by item."""
    values = []
    for order in itertools.permutations(range(len(sure))):
        if any(sure[a] < sure[b] for a, b in itertools.pairwise(order)):
            continue
        wrong = np.cumsum([not right[i] for i in order])
        values.append(np.mean(wrong / np.arange(1, len(order) + 1)))
    return float(np.mean(values))


cases = st.lists(
    st.tuples(st.sampled_from([0.5, 0.6, 0.7, 0.9]), st.booleans()), min_size=1, max_size=6
)


@given(cases)
def test_aurc_is_the_mean_over_all_orders(case: list[tuple[float, bool]]) -> None:
    sure, right = [list(part) for part in zip(*case, strict=True)]
    assert math.isclose(get("aurc")(items(sure, right)), aurc_by_hand(sure, right), abs_tol=1e-12)


def test_of_a_random_order_it_is_the_error_rate() -> None:
    seen = random_predictions(60, 4, seed=3)
    assert math.isclose(get("aurc_random")(seen), 1 - get("accuracy")(seen))
    viewed = get("aurc_random").viewed(seen)
    assert math.isclose(get("aurc")(viewed), get("aurc_random")(seen), abs_tol=1e-12)


def test_the_margin_ranks_by_the_two_best() -> None:
    p = np.array([[0.5, 0.45, 0.05], [0.4, 0.3, 0.3], [0.6, 0.2, 0.2]])
    seen = Predictions(np.array([1, 0, 0]), np.zeros(3, np.int64), np.log(p), LABELS)
    # Margins 0.05, 0.1, 0.4: the wrong item is last; by probability it is second.
    assert math.isclose(get("aurc_margin")(seen), (1 / 3) / 3)
    assert math.isclose(get("aurc")(seen), (1 / 2 + 1 / 3) / 3)
    for name in ("aurc", "aurc_margin"):
        assert math.isclose(get("aurc")(get(name).viewed(seen)), get(name)(seen))


def test_two_ways_of_ranking_are_compared_item_by_item() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.4, 1.0, 400)
    seen = items(p.tolist(), (rng.random(400) < p).tolist())
    aurc, chance = get("aurc"), get("aurc_random")
    found = paired.bootstrap(aurc, aurc.viewed(seen), chance.viewed(seen), draws=500)
    assert math.isclose(found.value, aurc(seen) - chance(seen))
    assert found.high < 0
    same = paired.bootstrap(aurc, aurc.viewed(seen), aurc.viewed(seen), draws=200)
    assert same.low <= 0 <= same.high


def debiased_by_hand(seen: Predictions) -> float:
    assert seen.log_probs is not None
    sure, right = np.exp(seen.log_probs.max(axis=1)), seen.right()
    total, n = 0.0, len(seen)
    order = np.argsort(sure)
    bins: dict[int, list[int]] = {}
    for place, row in enumerate(order):
        first = int(np.searchsorted(sure[order], sure[row]))
        bins.setdefault(first * 15 // n, []).append(int(row))
        assert first <= place
    for rows in bins.values():
        share, mean = right[rows].mean(), sure[rows].mean()
        gap = abs(share - mean)
        error = math.sqrt(share * (1 - share) / len(rows))
        noisy = stats.foldnorm(gap / error, scale=error).mean() if error else gap
        total += len(rows) / n * (gap - (noisy - gap))
    return max(total, 0.0)


@pytest.mark.parametrize("seed", range(4))
def test_debiased_ece_by_hand(seed: int) -> None:
    seen = random_predictions(300 + seed, 5, seed=seed)
    assert math.isclose(get("ece_debiased")(seen), debiased_by_hand(seen), abs_tol=1e-12)


def test_equal_probabilities_share_a_bin() -> None:
    sure, right = [0.5] * 100 + [0.9] * 50, [True] * 50 + [False] * 50 + [True] * 50
    seen = items(sure, right)
    bins, _ = get("ece_debiased").gaps(seen)
    assert len(set(bins[:100])) == len(set(bins[100:])) == 1
    assert math.isclose(get("ece_debiased")(seen), debiased_by_hand(seen), abs_tol=1e-12)


def calibrated(rng: np.random.Generator, n: int, shift: float = 0.0) -> Predictions:
    sure = rng.beta(6, 1, n).clip(0.3, 1 - 1e-9)
    return items(sure.tolist(), (rng.random(n) < sure - shift).tolist())


def test_debiasing_takes_half_of_the_bias() -> None:
    """Of a calibrated population; where all bins are off there is none, and none is added."""
    rng = np.random.default_rng(1)
    metric = get("ece_debiased")

    def plain(seen: Predictions) -> float:
        bins, gap = metric.gaps(seen)
        return float(np.abs(np.bincount(bins, gap)).sum() / len(seen))

    for shift, least, most in ((0.0, 0.4, 0.6), (0.1, 0.0, 0.6)):
        drawn = [calibrated(rng, 1500, shift) for _ in range(100)]
        before = np.mean([plain(seen) for seen in drawn]) - shift
        after = np.mean([metric(seen) for seen in drawn]) - shift
        assert before > 0
        assert least * before - 0.002 < after < most * before + 0.001


@pytest.mark.slow
@pytest.mark.parametrize(("n", "shift"), [(300, 0.0), (300, 0.05), (1500, 0.0), (1500, 0.03)])
def test_the_interval_of_debiased_ece_holds_the_truth(n: int, shift: float) -> None:
    rng, metric, runs = np.random.default_rng(2), get("ece_debiased"), 200
    held = 0
    for run in range(runs):
        found = interval(metric, calibrated(rng, n, shift), draws=300, seed=run)
        held += found.low <= shift <= found.high
    assert held / runs > 0.93 - 2 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.slow
def test_the_interval_of_aurc_holds_the_truth() -> None:
    rng, metric, runs, n = np.random.default_rng(3), get("aurc"), 200, 300
    truth = float(np.mean([metric(calibrated(rng, 100_000)) for _ in range(5)]))
    found = [interval(metric, calibrated(rng, n), draws=300, seed=run) for run in range(runs)]
    held = np.mean([one.low <= truth <= one.high for one in found])
    assert held > 0.95 - 2 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.slow
def test_rankings_that_are_worth_the_same_are_told_apart_in_five_of_a_hundred() -> None:
    rng, aurc, runs, n = np.random.default_rng(6), get("aurc"), 300, 200
    claimed = 0
    for run in range(runs):
        seen = calibrated(rng, n)
        assert seen.log_probs is not None
        sure = seen.log_probs[:, 0]
        one, two = (replace(seen, confidence=sure + rng.normal(0, 0.1, n)) for _ in range(2))
        claimed += paired.bootstrap(aurc, one, two, draws=300, seed=run).high < 0
    assert claimed / runs <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)


def test_coverage_and_the_accuracy_of_what_is_answered() -> None:
    seen = items([0.9, 0.8, 0.4, 0.3], [True, False, True, False])
    assert get("coverage")(seen) == 1.0
    assert get("selective_accuracy")(seen) == 0.5
    half = replace(seen, answered=np.array([True, False, True, False]))
    assert get("coverage")(half) == 0.5
    assert get("selective_accuracy")(half) == 1.0
    silent = replace(seen, answered=np.zeros(4, bool))
    assert math.isnan(get("selective_accuracy")(silent))
    again = Predictions.from_columns(half.to_columns(), LABELS, tuple("0123"))
    assert again.answered is not None
    assert again.answered.tolist() == [True, False, True, False]
