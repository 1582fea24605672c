"""Intervals over seeds and items against the truth of simulated worlds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from gradus.metrics import get
from gradus.metrics.base import Items, Predictions
from gradus.metrics.numbers import Numbers
from gradus.metrics.repeated import Repeated, kept, runs_of, value
from gradus.metrics.writings import Writings
from gradus.stats import seeds

LABELS = ("a", "b", "c")


def world(rng: np.random.Generator, n: int, count: int, between: float) -> Repeated:
    """`count` seeds on n items; seeds and items both decide how likely an item is right.

    `between` is the standard deviation between seeds, on the scale of log-odds.
    """
    ease, gold = rng.normal(1.9, 1.2, n), rng.integers(0, 3, n)
    runs = []
    for _ in range(count):
        right = rng.random(n) < 1 / (1 + np.exp(-(ease + rng.normal(0, between))))
        predicted = np.where(right, gold, (gold + rng.integers(1, 3, n)) % 3)
        rows = np.full((n, 3), 0.05)
        rows[np.arange(n), predicted] = 0.9
        runs.append(Predictions(gold, predicted, np.log(rows), LABELS, tuple(map(str, range(n)))))
    return Repeated(tuple(runs))


def truth(between: float) -> float:
    """Accuracy of all seeds on all items, by brute force."""
    rng = np.random.default_rng(99)
    odds = rng.normal(1.9, 1.2, 2_000_000) + rng.normal(0, between, 2_000_000)
    return float((1 / (1 + np.exp(-odds))).mean())


@pytest.mark.parametrize(("count", "n", "between"), [(3, 200, 0.5), (5, 100, 0.5), (5, 200, 0.0)])
def test_coverage(count: int, n: int, between: float) -> None:
    """At least nominal but for the simulation's own error; not by being useless."""
    rng, runs, metric, true = np.random.default_rng(5), 160, get("accuracy"), truth(between)
    hits = 0
    widths = []
    for run in range(runs):
        found = seeds.interval(metric, world(rng, n, count, between), draws=400, seed=run)
        hits += found.low <= true <= found.high
        widths.append(found.high - found.low)
    assert scipy_stats.binom.cdf(hits, runs, 0.95) > 0.01
    # What knows both variances would need, times what not knowing them costs with so few seeds.
    many = np.random.default_rng(6)
    values = [value(metric, world(many, n, count, between)) for _ in range(200)]
    ideal = 2 * 1.96 * float(np.std(values))
    assert float(np.median(widths)) < ideal * scipy_stats.t.ppf(0.975, count - 1) / 1.96


def test_resampling_seeds_alone_covers_too_little() -> None:
    """What the docstring says of the plain two-level bootstrap, for normal seeds on many items."""
    rng = np.random.default_rng(0)
    for count, stated in ((3, 0.74), (5, 0.84)):
        drawn = rng.standard_normal((3000, count))
        picks = rng.integers(0, count, (3000, 400, count))
        means = np.take_along_axis(drawn[:, None, :].repeat(400, 1), picks, 2).mean(axis=2)
        low, high = np.quantile(means, [0.025, 0.975], axis=1)
        assert ((low < 0) & (high > 0)).mean() == pytest.approx(stated, abs=0.02)


def test_claims_between_two_equal_steps_are_rarely_made() -> None:
    """Two steps of three seeds each that differ by their seeds alone: an A/A test."""
    rng, metric, runs = np.random.default_rng(8), get("accuracy"), 160
    claims = 0
    for run in range(runs):
        both = world(rng, 150, 6, 0.5)
        first, second = Repeated(both.runs[:3]), Repeated(both.runs[3:])
        claims += seeds.difference(metric, first, second, draws=400, seed=run).low > 0
    assert scipy_stats.binom.sf(claims - 1, runs, 0.05) > 0.01
    # Taken for one checkpoint each, as without seeds, they would claim far more often.


def test_items_are_paired() -> None:
    """A step that gets the same items wrong, and a few more, is told from it despite hard items."""
    rng = np.random.default_rng(3)
    first = world(rng, 400, 3, 0.0)
    worse = []
    for run in first.runs:
        assert isinstance(run, Predictions)
        predicted = run.predicted.copy()
        predicted[:24] = (run.gold[:24] + 1) % 3
        worse.append(Predictions(run.gold, predicted, run.log_probs, LABELS, run.ids))
    found = seeds.difference(get("accuracy"), first, Repeated(tuple(worse)), draws=500)
    alone = seeds.interval(get("accuracy"), first, draws=500)
    assert 0 < found.low < found.value < found.high
    assert found.high - found.low < alone.high - alone.low


def test_many_items_leave_students_t() -> None:
    """With items beyond number only the seeds are unsure: the interval is Student's."""
    rng = np.random.default_rng(4)
    gold = rng.integers(0, 3, 20_000)
    runs = []
    for share in (0.80, 0.85, 0.87, 0.90):
        right = np.arange(len(gold)) < share * len(gold)
        predicted = np.where(right, gold, (gold + 1) % 3)
        runs.append(Predictions(gold, predicted, None, LABELS))
    metric = get("accuracy")
    values = [metric(run) for run in runs]
    found = seeds.interval(metric, Repeated(tuple(runs)), draws=400)
    low, high = scipy_stats.t.interval(0.95, 3, loc=np.mean(values), scale=scipy_stats.sem(values))
    assert found.low == pytest.approx(low, abs=0.012)
    assert found.high == pytest.approx(min(high, 1.0), abs=0.012)


@pytest.mark.parametrize("name", ["f1_macro", "mcc", "log_loss", "ece", "recall[b]", "f1[c]"])
def test_every_kind_of_metric(name: str) -> None:
    seen = world(np.random.default_rng(1), 120, 3, 0.3)
    metric = get(name, LABELS)
    found = seeds.interval(metric, seen, draws=300)
    assert metric.range[0] <= found.low < value(metric, seen) < found.high <= metric.range[1]
    shared = seeds.Draws(seen.runs, draws=300)
    assert seeds.interval(metric, seen, shared=shared) == found
    assert seeds.interval(metric, seen, shared=shared) == found  # counts kept from before


def test_numbers_have_no_pseudo_items() -> None:
    rng = np.random.default_rng(2)
    gold = rng.normal(size=200)
    runs: list[Items] = [
        Numbers(gold, gold + rng.normal(0, 0.5 + 0.05 * seed, 200)) for seed in range(3)
    ]
    metric = get("rmse")
    found = seeds.interval(metric, Repeated(tuple(runs)), draws=300)
    assert found.low < value(metric, Repeated(tuple(runs))) < found.high


def told(values: np.ndarray, each: int) -> Writings:
    n = len(values) * each
    ids = tuple(f"{i // each:012x}/{i % each}" for i in range(n))
    columns = {"judge_fluency": np.repeat(values, each)}
    return Writings(("p",) * n, ("t",) * n, (None,) * n, ids, columns)


def test_texts_to_one_prompt_are_drawn_together() -> None:
    rng, metric = np.random.default_rng(7), get("judge_fluency")
    values = rng.normal(3, 0.5, (5, 20))

    def sides(each: int, prompts: int = 20) -> list[Repeated]:
        runs = [told(of[:prompts], each) for of in values]
        return [Repeated(tuple(runs[:3])), Repeated(tuple(runs[3:]))]

    single, several = (seeds.difference(metric, *sides(each), draws=300) for each in (1, 4))
    assert (several.low, several.high) == pytest.approx((single.low, single.high), abs=1e-9)
    one, four = (seeds.interval(metric, sides(each)[0], draws=300) for each in (1, 4))
    assert (four.low, four.high) == pytest.approx((one.low, one.high), abs=1e-9)
    of_one_prompt = seeds.difference(metric, *sides(4, prompts=1))
    assert (of_one_prompt.low, of_one_prompt.high) == (-math.inf, math.inf)


def test_nothing_is_claimed_of_one_item_or_of_what_is_undefined() -> None:
    seen = world(np.random.default_rng(1), 40, 3, 0.3)
    one = kept(seen, np.array([4]))
    found = seeds.difference(get("accuracy"), one, one)
    assert (found.low, found.high) == (-math.inf, math.inf)
    none = kept(seen, np.flatnonzero(np.asarray(runs_of(seen)[0].gold) != 1))  # type: ignore[attr-defined]  # predictions
    assert math.isnan(seeds.interval(get("recall[b]", LABELS), none).low)


def test_spread() -> None:
    assert seeds.spread([1.0, 2.0, 3.0]) == 1.0
    assert math.isnan(seeds.spread([1.0]))
