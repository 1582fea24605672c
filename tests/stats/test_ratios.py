"""The interval of a ratio against loops over resamples and left-out items."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gradus.metrics import get
from gradus.metrics.ratios import RatioMetric
from gradus.metrics.texts import UNITS, Texts
from gradus.stats.draws import resamples
from gradus.stats.intervals import interval
from gradus.stats.ratios import ratio_interval
from gradus.testing import populations
from gradus.testing.populations import World


def ratio_metric(name: str) -> RatioMetric:
    made = get(name)
    assert isinstance(made, RatioMetric)
    return made


def some(n: int, seed: int = 0) -> Texts:
    return populations.texts(World(size=n), np.random.default_rng(seed))


def with_counts(nats: list[float], count: list[int]) -> Texts:
    counts: dict[str, Any] = {name: np.array(count) for name in UNITS}
    return Texts(nats=np.array(nats), **counts)


def error(above: np.ndarray, below: np.ndarray) -> float:
    """Standard error of the linearised ratio."""
    n, ratio = len(above), above.sum() / below.sum()
    return math.sqrt(float(((above - ratio * below) ** 2).sum()) / n / (n - 1)) / float(
        below.mean()
    )


@pytest.mark.parametrize("name", ["bits_per_byte", "token_perplexity", "target_perplexity"])
def test_as_a_loop_would_do_it(name: str) -> None:
    metric, items, draws = ratio_metric(name), some(25), 150
    above, below = metric.parts(items)
    n, ratio = len(items), above.sum() / below.sum()
    t = []
    for counts in resamples(n, draws, np.random.default_rng(3)):
        rows = np.repeat(np.arange(n), counts.astype(int))
        drawn = above[rows].sum() / below[rows].sum()
        t.append((drawn - ratio) / error(above[rows], below[rows]))
    low_t, high_t = np.quantile(t, [0.025, 0.975])
    own = error(above, below)
    left = np.array([np.delete(above, i).sum() / np.delete(below, i).sum() for i in range(n)])
    jackknife = math.sqrt((n - 1) / n * float(((left - left.mean()) ** 2).sum()))
    half = stats.t.ppf(0.975, n - 1) * jackknife
    low = min(ratio - high_t * own, ratio - half)
    high = max(ratio - low_t * own, ratio + half)
    found = ratio_interval(metric, items, 0.95, draws, np.random.default_rng(3))
    expected = metric.of_ratio(np.array([low, high]))
    assert found == pytest.approx(tuple(expected), rel=1e-9)


def test_few_items_bound_nothing() -> None:
    rng = np.random.default_rng(0)
    metric = ratio_metric("token_perplexity")
    one = ratio_interval(metric, some(1), 0.95, 50, rng)
    assert one == (-math.inf, math.inf)
    # All there is stands in one of them.
    alone = with_counts([-3.0, 0.0], [4, 0])
    assert ratio_interval(metric, alone, 0.95, 50, rng) == (-math.inf, math.inf)
    found = interval(metric, alone, draws=50)
    assert (found.low, found.ends()[1]) == (1.0, None)


def test_texts_of_one_rate_are_a_point() -> None:
    rng = np.random.default_rng(0)
    for name in ("bits_per_byte", "token_perplexity"):
        even = with_counts([-2.0, -8.0, -1.0], [2, 8, 1])
        low, high = ratio_interval(ratio_metric(name), even, 0.95, 50, rng)
        assert low == high == pytest.approx(get(name)(even))


def test_more_documents_bound_more_narrowly() -> None:
    metric = ratio_metric("bits_per_byte")
    few, many = (interval(metric, some(n), draws=200) for n in (50, 1000))
    assert 3 < (few.high - few.low) / (many.high - many.low) < 7
    assert few.method == many.method == "studentised bootstrap"


def test_one_impossible_text_leaves_no_bound() -> None:
    items = some(20)
    sunk = dataclasses.replace(items, nats=np.where(np.arange(20) == 3, -np.inf, items.nats))
    found = interval(get("bits_per_byte"), sunk)
    assert math.isnan(found.low)
