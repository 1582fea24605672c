"""Scores of a plan's own: values, resamples, and what can't be made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradus.errors import UnknownName, UsageError
from gradus.metrics import get
from gradus.metrics.base import Predictions
from gradus.metrics.means import MeanMetric
from gradus.metrics.score import Scores
from gradus.stats import paired
from gradus.stats.intervals import interval, resamples

LABELS = ("ham", "spam", "urgent")
SETTINGS: dict[str, dict[str, Any]] = {
    "both": {"combine": "(worth + 10 * value) / 2"},
    "value": {"combine": "0.7 * f1_macro + 0.3 * recall[urgent]"},
    "worth": {"prices": {"urgent": {"spam": -5, "urgent": 2}}, "default_wrong": -0.5},
    "sure": {"combine": "accuracy - 0.1 * log_loss"},
    "ratio": {"combine": "f1_macro / log_loss"},
}
SCORES = Scores.of(SETTINGS)


def seen(n: int = 120, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 3, n)
    predicted = np.where(rng.random(n) < 0.7, gold, rng.integers(0, 3, n))
    log_probs = np.log(rng.dirichlet((2, 2, 2), n))
    return Predictions(gold, predicted, log_probs, LABELS, tuple(map(str, range(n))))


def by_hand(name: str, p: Predictions) -> float:
    cells = np.array([[1, -0.5, -0.5], [-0.5, 1, -0.5], [-0.5, -5, 2]])
    worth = float(np.mean([cells[g, q] for g, q in zip(p.gold, p.predicted, strict=True)]))
    among = p.gold == 2
    value = 0.7 * get("f1_macro")(p) + 0.3 * float((p.predicted[among] == 2).mean())
    loss = get("log_loss")(p)
    return {
        "worth": worth,
        "value": value,
        "both": (worth + 10 * value) / 2,
        "sure": float((p.gold == p.predicted).mean()) - 0.1 * loss,
        "ratio": get("f1_macro")(p) / loss,
    }[name]


@pytest.mark.parametrize("name", SETTINGS)
def test_values_are_those_by_hand_on_the_items_and_on_resamples(name: str) -> None:
    items, metric = seen(), SCORES.get(name)
    assert metric(items) == pytest.approx(by_hand(name, items))
    weights = resamples(len(items), 8, np.random.default_rng(1))
    rows = np.arange(len(items))
    expected = [by_hand(name, items.take(np.repeat(rows, w.astype(int)))) for w in weights]
    np.testing.assert_allclose(metric.weighted(items, weights), expected)


def test_a_weighted_sum_of_means_is_a_mean() -> None:
    assert isinstance(SCORES.get("sure"), MeanMetric)
    assert not isinstance(SCORES.get("value"), MeanMetric)
    items = seen()
    metric = SCORES.get("sure")
    assert isinstance(metric, MeanMetric)
    assert metric.per_item(items).mean() == pytest.approx(by_hand("sure", items))


def test_labels_are_found_by_name_whatever_their_order() -> None:
    items = seen()
    for name in SETTINGS:
        turned = items.relabelled(("urgent", "ham", "spam"))
        assert SCORES.get(name)(turned) == pytest.approx(by_hand(name, items))


def test_ranges() -> None:
    assert SCORES.kind("worth").range == (-5, 2)
    assert SCORES.kind("value").range == pytest.approx((0, 1))
    assert SCORES.kind("ratio").range == (-np.inf, np.inf)


@pytest.mark.parametrize("name", SETTINGS)
def test_intervals_hold_the_value_and_narrow_with_items(name: str) -> None:
    metric = SCORES.get(name)
    widths = []
    for n in (60, 960):
        items = seen(n)
        found = interval(metric, items, draws=400)
        assert found.low < metric(items) < found.high
        widths.append(found.high - found.low)
    assert 2 < widths[0] / widths[1] < 9


def test_parts_vary_together() -> None:
    """Accuracy less itself is known exactly, however few the items."""
    nothing = Scores.of({"nothing": {"combine": "f1_macro - f1_macro"}}).get("nothing")
    found = interval(nothing, seen(40), draws=200)
    assert abs(found.low) < 1e-12
    assert abs(found.high) < 1e-12


def test_comparisons_are_paired() -> None:
    """Against a copy that errs on one item more, the difference is far better known than either."""
    first = seen(300)
    predicted = first.predicted.copy()
    predicted[0] = (first.gold[0] + 1) % 3
    second = Predictions(first.gold, predicted, first.log_probs, LABELS, first.ids)
    metric = SCORES.get("value")
    between = paired.bootstrap(metric, first, second, draws=400)
    alone = interval(metric, first, draws=400, level=0.9)
    assert between.high - between.low < (alone.high - alone.low) / 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"x": {"combine": "acuracy"}}, "did you mean 'accuracy'"),
        ({"x": {"combine": "recall"}}, "recall is asked of one label"),
        ({"x": {"combine": "accuracy[ham]"}}, "not asked of a single label"),
        ({"x": {"combine": "size_mb"}}, "isn't taken on single items"),
        ({"x": {"combine": "parity_kl"}}, "isn't taken on single items"),
        ({"x": {"combine": "accuracy + spearman"}}, "no data set is measured by all of"),
        ({"accuracy": {"combine": "mcc"}}, "choose another name"),
        ({"x": {"combine": "y"}, "y": {"combine": "x"}}, "cyclic score: x -> y -> x"),
        ({"x": {"combine": "1 - x"}}, "cyclic score: x -> x"),
    ],
)
def test_what_cannot_be_made(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((UsageError, UnknownName)) as caught:
        Scores.of(settings)
    assert message in str(caught.value)


def test_data_that_lack_a_label() -> None:
    two = ("ham", "urgnt")
    assert list(SCORES.on("label", LABELS)) == list(SETTINGS)
    assert list(SCORES.on("label", two)) == ["sure", "ratio"]
    assert list(SCORES.on("number", ())) == []
    SCORES.check([("label", two), ("label", LABELS)])
    with pytest.raises(UsageError, match=r"scores\.both: unknown label 'urgent': did you mean"):
        SCORES.check([("label", two)])
    with pytest.raises(UsageError, match=r"scores\.both: no data set of the plan is measured by"):
        SCORES.check([("number", ())])
