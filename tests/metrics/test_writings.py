"""Writings as items, metrics of their columns, and statistics that draw prompts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from gradus.gates.sides import align
from gradus.metrics.base import Items
from gradus.metrics.items import read_items, write_items
from gradus.metrics.writings import ColumnRatio, WritingMetric, Writings
from gradus.stats import paired
from gradus.stats.draws import Units
from gradus.stats.intervals import interval


class Mean(ColumnRatio):
    """The mean of a column."""

    name, unit, direction = "mean", "points", "higher"
    range = (-math.inf, math.inf)
    source, summary = "arithmetic", "the mean of a column"
    columns: ClassVar[tuple[str, ...]] = ("x",)


class Rate(Mean):
    """One column over another."""

    columns = ("x", "words")


class Middle(WritingMetric):
    """The median, which is no ratio."""

    name, unit, direction = "middle", "points", "higher"
    range = (-math.inf, math.inf)
    source, summary = "arithmetic", "the median of a column"
    columns = ("x",)

    def __call__(self, observed: Writings) -> float:
        return float(np.median(observed.columns["x"]))

    def weighted(self, predictions: Writings, weights: np.ndarray) -> np.ndarray:
        rows = np.arange(len(predictions))
        return np.array([self(predictions.take(np.repeat(rows, w.astype(int)))) for w in weights])


def writings(x: np.ndarray, each: int = 1, **more: np.ndarray) -> Writings:
    """Texts whose ids say that `each` of them in a row answer one prompt."""
    n = len(x)
    return Writings(
        prompts=tuple(f"prompt {i // each}" for i in range(n)),
        texts=tuple(f"text {i}" for i in range(n)),
        sources=(None,) * n,
        ids=tuple(f"{i // each:012x}/{i % each}" for i in range(n)),
        columns={"x": x, **more},
    )


def test_means_and_rates_leave_out_what_isnt_known() -> None:
    x = np.array([1.0, math.nan, 3.0, 8.0])
    words = np.array([2.0, 5.0, 4.0, math.nan])
    assert Mean()(writings(x)) == pytest.approx(4.0)
    assert Rate()(writings(x, words=words)) == pytest.approx(4.0 / 6.0)
    assert math.isnan(Mean()(writings(np.array([math.nan]))))


def test_a_metric_is_asked_only_where_its_columns_are() -> None:
    assert Mean.asked_of(writings(np.ones(2)))
    assert not Rate.asked_of(writings(np.ones(2)))


def test_items_come_back_from_disk(tmp_path: Path) -> None:
    made = writings(np.array([1.0, math.nan]), vectors=np.arange(6.0).reshape(2, 3))
    write_items(tmp_path / "items.parquet", made, made.texts)
    again, texts = read_items(tmp_path / "items.parquet")
    assert isinstance(again, Writings)
    assert texts == list(made.texts)
    assert (again.prompts, again.texts, again.sources, again.ids) == (
        made.prompts,
        made.texts,
        made.sources,
        made.ids,
    )
    assert set(again.columns) == {"x", "vectors"}
    for name, values in made.columns.items():
        np.testing.assert_array_equal(again.columns[name], values)


def test_units_are_prompts() -> None:
    made = writings(np.arange(6.0), each=3)
    units = Units.of(made)
    assert units.count == 2
    np.testing.assert_array_equal(units.totals(made.columns["x"]), [3.0, 12.0])
    np.testing.assert_array_equal(
        units.weights(np.array([[2.0, 0.0]])), [[2.0, 2.0, 2.0, 0.0, 0.0, 0.0]]
    )
    alone = Units.of(writings(np.arange(3.0)))
    assert (alone.count, alone.sides) == (3, (None,))


def test_repeating_every_text_doesnt_make_an_interval_shorter() -> None:
    x = np.random.default_rng(1).gamma(2.0, 1.0, 40)
    once, thrice = writings(x), writings(np.repeat(x, 3), each=3)
    for metric in (Mean(), Middle()):
        few = interval(metric, once, draws=400, seed=5)
        many = interval(metric, thrice, draws=400, seed=5)
        assert many.low == pytest.approx(few.low, rel=0.05)
        assert many.high == pytest.approx(few.high, rel=0.05)
        apart = interval(metric, thrice.take(np.arange(120)), draws=400, seed=5)
        assert apart.high - apart.low < 0.8 * (many.high - many.low)


class Share(Mean):
    """The mean of a column of shares."""

    range = (0.0, 1.0)


def test_what_was_never_seen_isnt_impossible() -> None:
    made = writings(np.zeros(40), each=2)
    found = interval(Share(), made, draws=50)
    assert found.low == 0.0
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 20))  # 20 prompts, none of which had it
    full = interval(Share(), writings(np.ones(20)), draws=50)
    assert (full.low, full.high) == (pytest.approx(0.025 ** (1 / 20)), 1.0)
    middle = interval(Share(), writings(np.full(20, 0.5)), draws=50)
    assert 0.3 < middle.low < 0.5 < middle.high < 0.7  # that all are alike so far is no certainty


def clustered(seed: int, each: int = 5) -> Writings:
    """Texts to 30 prompts that differ by their prompts; the true mean is 0."""
    rng = np.random.default_rng(seed)
    prompt = np.repeat(rng.normal(size=30), each)
    return writings(prompt + 0.3 * rng.normal(size=len(prompt)), each=each)


def test_intervals_hold_the_truth_where_prompts_differ() -> None:
    found = [interval(Mean(), clustered(seed), draws=200, seed=seed) for seed in range(120)]
    share = np.mean([one.low <= 0 <= one.high for one in found])
    assert 0.89 <= share <= 1.0
    plain = [clustered(seed).take(np.arange(150)) for seed in range(60)]
    narrow = [interval(Mean(), items, draws=200, seed=1) for items in plain]
    assert np.mean([one.low <= 0 <= one.high for one in narrow]) < 0.8


def test_a_paired_test_rejects_a_true_tie_as_often_as_it_may() -> None:
    claims = 0
    for seed in range(100):
        rng = np.random.default_rng(1000 + seed)
        prompt = rng.normal(size=25)
        one = writings(np.repeat(prompt + 0.5 * rng.normal(size=25), 4), each=4)
        two = writings(prompt + 0.5 * rng.normal(size=25))
        found = paired.bootstrap(Mean(), one, two, draws=200, seed=seed)
        claims += found.low > 0
    assert claims <= 12


def test_sides_with_different_numbers_of_texts_are_paired_by_prompt() -> None:
    model = writings(np.arange(8.0), each=2)
    human = writings(np.array([30.0, 10.0, 99.0]))
    human = Writings(
        human.prompts, human.texts, human.sources, ("000000000003/0", "000000000001/0", "none/0"),
        human.columns,
    )  # fmt: skip
    own, other = align(model, human)
    assert isinstance(own, Items)
    assert isinstance(other, Writings)
    assert own.ids == ("000000000001/0", "000000000001/1", "000000000003/0", "000000000003/1")
    np.testing.assert_array_equal(other.columns["x"], [10.0, 30.0])
    found = paired.bootstrap(Mean(), own, other, draws=50)
    assert found.value == pytest.approx((2 + 3 + 6 + 7) / 4 - 20.0)
