"""Metrics of sets of labels and of numbers against scikit-learn and scipy, and their items."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from gradus import benchmarks, registry
from gradus.metrics import get
from gradus.metrics.base import Items, Metric
from gradus.metrics.items import read_items, write_items
from gradus.metrics.labelsets import LabelSets
from gradus.metrics.numbers import Numbers
from gradus.stats.intervals import interval


def random_sets(
    n: int, k: int, *, seed: int = 0, share: float = 0.3, used: int | None = None
) -> LabelSets:
    """n items over k labels, of which only the first `used` are ever true or said."""
    rng = np.random.default_rng(seed)
    gold = rng.random((n, k)) < share
    logits = rng.normal(size=(n, k)) + 2.0 * gold - 1.0
    if used is not None:
        gold[:, used:] = False
        logits[:, used:] = -30.0
    log_probs = -np.log1p(np.exp(-logits))
    return LabelSets(
        gold=gold,
        predicted=log_probs >= math.log(0.5),
        log_probs=log_probs,
        labels=tuple(f"label {i}" for i in range(k)),
        ids=tuple(f"{i:064x}" for i in range(n)),
    )


def random_numbers(n: int, *, seed: int = 0, ties: bool = False) -> Numbers:
    rng = np.random.default_rng(seed)
    gold = rng.normal(40.0, 3.0, n)
    predicted = gold + rng.normal(1.0, 2.0, n)
    if ties:
        gold, predicted = np.round(gold), np.round(predicted)
    return Numbers(gold, predicted, tuple(f"{i:064x}" for i in range(n)))


SETS = {
    "plain": random_sets(300, 6),
    "rare labels": random_sets(40, 9, seed=1, share=0.05),
    "labels that never occur": random_sets(50, 8, seed=2, used=3),
    "one label": random_sets(60, 1, seed=3),
}
NUMBERS = {
    "plain": random_numbers(200),
    "ties": random_numbers(150, seed=1, ties=True),
    "two": random_numbers(2, seed=2),
}


def _binary_log_loss(s: LabelSets) -> float:
    columns = zip(s.gold.T, np.exp(s.log_probs).T, strict=True)
    return float(np.mean([sk.log_loss(g, p, labels=[False, True]) for g, p in columns]))


def _seen(s: LabelSets) -> list[int]:
    return [int(k) for k in np.flatnonzero((s.gold | s.predicted).any(axis=0))]


def _mean_over_positive(score: Callable[..., float]) -> Callable[[LabelSets], float]:
    def oracle(s: LabelSets) -> float:
        usable = [k for k in range(len(s.labels)) if s.gold[:, k].any() and not s.gold[:, k].all()]
        return float(np.mean([score(s.gold[:, k], s.log_probs[:, k]) for k in usable]))

    return oracle


SET_ORACLES: dict[str, Callable[[LabelSets], float]] = {
    "multilabel_f1_micro": lambda s: sk.f1_score(s.gold.ravel(), s.predicted.ravel()),
    "multilabel_f1_macro": lambda s: float(
        np.mean([sk.f1_score(s.gold[:, k], s.predicted[:, k]) for k in _seen(s)])
    ),
    "multilabel_f1_samples": lambda s: float(
        np.mean(
            [
                sk.f1_score(g, p, average="binary", zero_division=1.0)
                for g, p in zip(s.gold, s.predicted, strict=True)
            ]
        )
    ),
    "multilabel_precision_micro": lambda s: sk.precision_score(s.gold.ravel(), s.predicted.ravel()),
    "multilabel_recall_micro": lambda s: sk.recall_score(s.gold.ravel(), s.predicted.ravel()),
    "subset_accuracy": lambda s: sk.accuracy_score(s.gold, s.predicted),
    "hamming_loss": lambda s: sk.hamming_loss(s.gold, s.predicted),
    "multilabel_log_loss": _binary_log_loss,
    "auroc_macro": _mean_over_positive(sk.roc_auc_score),
    "average_precision_macro": _mean_over_positive(sk.average_precision_score),
}
OF_LABELS = ("multilabel_f1", "auroc", "average_precision")
NUMBER_ORACLES: dict[str, Callable[[Numbers], float]] = {
    "spearman": lambda x: stats.spearmanr(x.gold, x.predicted).statistic,
    "pearson": lambda x: stats.pearsonr(x.gold, x.predicted).statistic,
    "rmse": lambda x: sk.root_mean_squared_error(x.gold, x.predicted),
    "mae": lambda x: sk.mean_absolute_error(x.gold, x.predicted),
    "r2": lambda x: sk.r2_score(x.gold, x.predicted),
}


def test_every_metric_of_the_two_benchmarks_has_an_oracle() -> None:
    assert set(benchmarks.of("labels").metrics) == {*SET_ORACLES, *OF_LABELS}
    assert set(benchmarks.of("number").metrics) == set(NUMBER_ORACLES)


@pytest.mark.parametrize("case", SETS)
@pytest.mark.parametrize("name", SET_ORACLES)
def test_sets_are_judged_as_by_sklearn(name: str, case: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = SET_ORACLES[name](SETS[case])
    assert get(name)(SETS[case]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("case", NUMBERS)
@pytest.mark.parametrize("name", NUMBER_ORACLES)
def test_numbers_are_judged_as_by_scipy_and_sklearn(name: str, case: str) -> None:
    expected = NUMBER_ORACLES[name](NUMBERS[case])
    assert get(name)(NUMBERS[case]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("case", SETS)
def test_f1_of_each_label_is_sklearns_or_nan(case: str) -> None:
    s = SETS[case]
    for k, label in enumerate(s.labels):
        metric = get(f"multilabel_f1[{label}]", s.labels)
        expected = sk.f1_score(s.gold[:, k], s.predicted[:, k], zero_division=np.nan)
        assert metric(s) == pytest.approx(expected, abs=1e-12, nan_ok=True)
        share = metric.successes(s)
        assert share is not None
        if len(share):
            assert metric.of_share(float(share.mean())) == pytest.approx(metric(s))


def made(name: str) -> Metric:
    kind = registry.load("metrics", name)
    metric: Metric = kind(0) if kind.per_label else kind()
    return metric


BOTH: list[tuple[str, Items]] = [
    *((name, random_sets(50, 4, seed=7)) for name in (*SET_ORACLES, *OF_LABELS)),
    *((name, random_numbers(50, seed=7, ties=True)) for name in NUMBER_ORACLES),
]


@pytest.mark.parametrize(("name", "items"), BOTH, ids=[name for name, _ in BOTH])
def test_weights_are_repeats_and_no_items_is_nan(name: str, items: Any) -> None:
    metric = made(name)
    weights = np.random.default_rng(0).multinomial(50, np.full(50, 1 / 50), size=6).astype(float)
    repeated = [metric(items.take(np.repeat(np.arange(50), w.astype(int)))) for w in weights]
    np.testing.assert_allclose(metric.weighted(items, weights), repeated, atol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert math.isnan(metric(items.take(np.zeros(0, np.int64))))


@pytest.mark.parametrize(("name", "items"), BOTH, ids=[name for name, _ in BOTH])
def test_the_interval_holds_the_value_and_stays_in_range(name: str, items: Any) -> None:
    metric = made(name)
    found = interval(metric, items, draws=200)
    assert metric.range[0] <= found.low <= metric(items) <= found.high <= metric.range[1]
    assert found.low < found.high


def test_what_is_undefined_is_nan_never_zero() -> None:
    none = LabelSets(
        np.zeros((4, 2), bool), np.zeros((4, 2), bool), np.full((4, 2), -9.0), ("a", "b")
    )
    for name in ("multilabel_f1_micro", "multilabel_f1_macro", "multilabel_recall_micro"):
        assert math.isnan(get(name)(none)), name
    assert math.isnan(get("multilabel_precision_micro")(none))
    assert math.isnan(get("auroc_macro")(none))
    assert get("multilabel_f1_samples")(none) == 1.0
    assert get("subset_accuracy")(none) == 1.0
    level = Numbers(np.full(5, 0.1), np.arange(5.0))
    for name in ("spearman", "pearson", "r2"):
        assert math.isnan(get(name)(level)), name
    constant = Numbers(np.arange(5.0), np.full(5, 0.3))
    assert math.isnan(get("pearson")(constant))
    assert get("r2")(constant) < 0


@given(shift=st.floats(-1e6, 1e6), scale=st.floats(1e-3, 1e3))
def test_correlations_know_no_unit(shift: float, scale: float) -> None:
    x = NUMBERS["plain"]
    moved = Numbers(x.gold, x.predicted * scale + shift)
    assert get("pearson")(moved) == pytest.approx(get("pearson")(x), abs=1e-6)


def test_items_come_back_from_their_file(tmp_path: Path) -> None:
    sets, numbers = random_sets(9, 3), random_numbers(9)
    texts = [f"text {i}" for i in range(9)]
    write_items(tmp_path / "sets.parquet", sets, texts)
    write_items(tmp_path / "numbers.parquet", numbers, texts)
    back, same = read_items(tmp_path / "sets.parquet")
    assert same == texts
    assert isinstance(back, LabelSets)
    assert (back.labels, back.ids) == (sets.labels, sets.ids)
    for name in ("gold", "predicted", "log_probs"):
        np.testing.assert_array_equal(getattr(back, name), getattr(sets, name))
    again, _ = read_items(tmp_path / "numbers.parquet")
    assert isinstance(again, Numbers)
    np.testing.assert_array_equal(again.gold, numbers.gold)
    np.testing.assert_array_equal(again.predicted, numbers.predicted)


def test_sets_are_relabelled_joined_and_described() -> None:
    s = SETS["plain"]
    order = s.labels[::-1]
    turned = s.relabelled(order)
    np.testing.assert_array_equal(turned.gold, s.gold[:, ::-1])
    assert turned.ids == s.ids
    twice = s.joined(s)
    assert len(twice) == 2 * len(s)
    assert get("hamming_loss")(twice) == pytest.approx(get("hamming_loss")(s))
    row = int(np.flatnonzero(s.predicted.any(axis=1) & s.gold.any(axis=1))[0])
    gold, predicted, least = s.described(row)
    assert gold == ", ".join(n for n, flag in zip(s.labels, s.gold[row], strict=True) if flag)
    assert predicted
    assert least is not None
    assert 0.5 <= least <= 1.0
    assert s.right().tolist() == [
        bool((g == p).all()) for g, p in zip(s.gold, s.predicted, strict=True)
    ]


def test_numbers_are_joined_and_described() -> None:
    x = NUMBERS["plain"]
    assert len(x.joined(x)) == 2 * len(x)
    assert get("mae")(x.joined(x)) == pytest.approx(get("mae")(x))
    assert x.described(0) == (f"{x.gold[0]:.4g}", f"{x.predicted[0]:.4g}", None)
    assert x.right().sum() == len(x) / 2
    assert x.gold_equals(x).all()
