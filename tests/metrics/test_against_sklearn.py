"""Every metric against scikit-learn, scipy or the definition written out in float64."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import rel_entr
from sklearn import metrics as sk
from tests.metrics.conftest import random_predictions

from gradus import registry
from gradus.metrics import get
from gradus.metrics.base import Metric, Predictions

CASES = {
    "plain": random_predictions(400, 7),
    "two labels": random_predictions(60, 2, seed=1),
    "labels that never occur": random_predictions(50, 20, seed=2, used=5),
    "many labels, few items": random_predictions(40, 77, seed=3, accuracy=0.5),
    "all right": random_predictions(30, 3, seed=4, accuracy=1.0),
    "one item": random_predictions(1, 3, seed=5),
}


def _average(name: str, average: str) -> Callable[[Predictions], float]:
    score = getattr(sk, f"{name}_score")
    return lambda p: score(p.gold, p.predicted, average=average, zero_division=0)


def _ece(p: Predictions) -> float:
    assert p.log_probs is not None
    total = 0.0
    sure = np.exp(p.log_probs.max(axis=1))
    for low in range(15):
        inside = [i for i in range(len(p)) if low / 15 < sure[i] <= (low + 1) / 15]
        if inside:
            right = sum(p.gold[i] == p.predicted[i] for i in inside) / len(inside)
            total += len(inside) / len(p) * abs(right - sum(sure[inside]) / len(inside))
    return total


ORACLES: dict[str, Callable[[Predictions], float]] = {
    "accuracy": lambda p: sk.accuracy_score(p.gold, p.predicted),
    "balanced_accuracy": lambda p: sk.balanced_accuracy_score(p.gold, p.predicted),
    "mcc": lambda p: sk.matthews_corrcoef(p.gold, p.predicted),
    "log_loss": lambda p: sk.log_loss(p.gold, np.exp(p.log_probs), labels=range(len(p.labels))),
    "ece": _ece,
    "parity_kl": lambda p: float(
        rel_entr(np.exp(p.parent_log_probs), np.exp(p.log_probs)).sum(axis=1).mean()
    ),
    "parity_flips": lambda p: float(
        np.mean(
            [np.argmax(row) != q for row, q in zip(p.parent_log_probs, p.predicted, strict=True)]
        )
    ),
    **{
        f"{name}_{average}": _average(name, average)
        for name in ("precision", "recall", "f1")
        for average in ("macro", "micro", "weighted")
    },
}


def on_predictions() -> list[str]:
    names = [registry.plain(v) for v in registry.names("metrics")]
    return [
        n
        for n in names
        if registry.load("metrics", n).needs in ("labels", "probabilities", "parent")
    ]


def test_every_metric_of_the_catalog_has_an_oracle() -> None:
    assert set(on_predictions()) == set(ORACLES) | {"precision", "recall", "f1"}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ORACLES)
def test_value_is_the_oracles(name: str, case: str) -> None:
    p = CASES[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = ORACLES[name](p)
    assert get(name)(p) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_value_of_each_label_is_the_oracles_or_nan_where_undefined(name: str, case: str) -> None:
    p = CASES[case]
    score = getattr(sk, f"{name}_score")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = score(
            p.gold, p.predicted, labels=range(len(p.labels)), average=None, zero_division=np.nan
        )
    found = [get(f"{name}[{label}]", p.labels)(p) for label in p.labels]
    np.testing.assert_allclose(found, expected, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("name", on_predictions())
def test_weights_are_repeats(name: str) -> None:
    p = random_predictions(60, 4, seed=8)
    kind = registry.load("metrics", name)
    metric: Metric = kind(2) if kind.per_label else kind()
    rng = np.random.default_rng(0)
    weights = rng.multinomial(60, np.full(60, 1 / 60), size=5).astype(float)
    values = metric.weighted(p, weights)
    assert values is not None
    repeated = [metric(p.take(np.repeat(np.arange(60), w.astype(int)))) for w in weights]
    np.testing.assert_allclose(values, repeated, atol=1e-12)


@pytest.mark.parametrize("name", on_predictions())
def test_no_items_is_nan(name: str) -> None:
    p = random_predictions(5, 3).take(np.zeros(0, np.int64))
    kind = registry.load("metrics", name)
    assert math.isnan((kind(1) if kind.per_label else kind())(p))


@pytest.mark.parametrize("name", on_predictions())
def test_value_lies_in_the_range_and_successes_average_to_it(name: str) -> None:
    p = CASES["plain"]
    kind = registry.load("metrics", name)
    metric: Metric = kind(2) if kind.per_label else kind()
    value = metric(p)
    assert kind.range[0] <= value <= kind.range[1]
    if kind.interval == "wilson":
        shares = metric.successes(p)
        assert shares is not None
        assert metric.of_share(float(shares.mean())) == pytest.approx(value, abs=1e-15)


def test_log_loss_of_an_impossible_label_is_capped_as_in_sklearn() -> None:
    p = Predictions(
        gold=np.array([1]),
        predicted=np.array([0]),
        log_probs=np.array([[0.0, -np.inf]]),
        labels=("a", "b"),
    )
    assert get("log_loss")(p) == pytest.approx(sk.log_loss([1], [[1.0, 0.0]], labels=[0, 1]))


def test_parity_is_zero_with_oneself_and_infinite_where_the_child_rules_out() -> None:
    p = random_predictions(20, 3)
    own = Predictions(p.gold, p.predicted, p.log_probs, p.labels, (), p.log_probs)
    assert get("parity_kl")(own) == 0.0
    assert get("parity_flips")(own) == 0.0
    sure = np.array([[0.0, -np.inf]])
    half = np.log(np.array([[0.5, 0.5]]))
    one = np.array([0])
    assert get("parity_kl")(Predictions(one, one, sure, ("a", "b"), (), half)) == math.inf
    kl = get("parity_kl")(Predictions(one, one, half, ("a", "b"), (), sure))
    assert kl == pytest.approx(math.log(2))


def test_missing_probabilities_and_parents_are_nan() -> None:
    p = Predictions(np.array([0, 1]), np.array([0, 1]), None, ("a", "b"))
    for name in ("log_loss", "ece", "parity_kl", "parity_flips"):
        assert math.isnan(get(name)(p)), name
