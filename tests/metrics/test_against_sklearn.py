"""Every metric against scikit-learn, scipy or the definition written out in float64."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import rel_entr
from sklearn import metrics as sk
from tests.metrics.conftest import random_predictions
from tests.metrics.test_calibration_metrics import debiased_by_hand

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


def _one_vs_rest(name: str) -> Callable[[Predictions], float]:
    """The mean over the labels for which scikit-learn's binary function is defined."""
    score = getattr(sk, name)

    def oracle(p: Predictions) -> float:
        assert p.log_probs is not None
        gold = [(p.gold == k) for k in range(len(p.labels))]
        needed = 2 if name == "roc_auc_score" else 1
        usable = [k for k, g in enumerate(gold) if g.any() and len(set(g)) >= needed]
        return float(np.mean([score(gold[k], p.log_probs[:, k]) for k in usable]))

    return oracle


def _brier(p: Predictions) -> float:
    rows, truth = p.log_probs, np.eye(len(p.labels))[p.gold]
    assert rows is not None
    return float(np.mean([((np.exp(q) - t) ** 2).sum() for q, t in zip(rows, truth, strict=True)]))


def _aurc(margin: bool) -> Callable[[Predictions], float]:
    """Of items that are all differently sure, one risk after the other."""

    def oracle(p: Predictions) -> float:
        assert p.log_probs is not None
        rows = np.sort(np.exp(p.log_probs), axis=1)
        sure = rows[:, -1] - rows[:, -2] if margin else rows[:, -1]
        order = np.argsort(-sure)
        wrong = (p.gold != p.predicted)[order]
        return float(np.mean([wrong[: n + 1].mean() for n in range(len(p))]))

    return oracle


def _top(k: int) -> Callable[[Predictions], float]:
    return lambda p: sk.top_k_accuracy_score(p.gold, p.log_probs, k=k, labels=range(len(p.labels)))


ORACLES: dict[str, Callable[[Predictions], float]] = {
    "accuracy": lambda p: sk.accuracy_score(p.gold, p.predicted),
    "balanced_accuracy": lambda p: sk.balanced_accuracy_score(p.gold, p.predicted),
    "mcc": lambda p: sk.matthews_corrcoef(p.gold, p.predicted),
    "log_loss": lambda p: sk.log_loss(p.gold, np.exp(p.log_probs), labels=range(len(p.labels))),
    "ece": _ece,
    "ece_debiased": lambda p: debiased_by_hand(p),
    "aurc": _aurc(margin=False),
    "aurc_margin": _aurc(margin=True),
    "aurc_random": lambda p: 1 - sk.accuracy_score(p.gold, p.predicted),
    "coverage": lambda p: 1.0,
    "selective_accuracy": lambda p: sk.accuracy_score(p.gold, p.predicted),
    "brier": _brier,
    "cohen_kappa": lambda p: sk.cohen_kappa_score(p.gold, p.predicted),
    "auroc_macro": _one_vs_rest("roc_auc_score"),
    "average_precision_macro": _one_vs_rest("average_precision_score"),
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
    elsewhere = {"precision", "recall", "f1", "auroc", "average_precision"}
    assert set(on_predictions()) == set(ORACLES) | elsewhere | set(TOPS)


TOPS = {"top_3_accuracy": 3, "top_5_accuracy": 5}


@pytest.mark.parametrize("case", ["plain", "labels that never occur", "many labels, few items"])
@pytest.mark.parametrize("name", TOPS)
def test_top_k_is_sklearns(name: str, case: str) -> None:
    p = CASES[case]
    assert get(name)(p) == pytest.approx(_top(TOPS[name])(p), abs=1e-12)


def test_top_k_counts_every_label_of_few_and_the_first_of_equals() -> None:
    assert get("top_3_accuracy")(CASES["two labels"]) == 1.0
    level = np.log(np.full((5, 5), 0.2))
    gold = np.arange(5)
    p = Predictions(gold, np.zeros(5, np.int64), level, tuple("abcde"))
    assert get("top_3_accuracy").successes(p).tolist() == [True, True, True, False, False]
    assert get("top_5_accuracy")(p) == 1.0


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("name", "score"),
    [("auroc", sk.roc_auc_score), ("average_precision", sk.average_precision_score)],
)
def test_ranking_of_each_label_is_sklearns_ties_too(name: str, score: Any, case: str) -> None:
    p = CASES[case]
    assert p.log_probs is not None
    coarse = Predictions(p.gold, p.predicted, np.round(p.log_probs), p.labels)
    for seen in (p, coarse):
        for k, label in enumerate(p.labels):
            gold = seen.gold == k
            found = get(f"{name}[{label}]", p.labels)(seen)
            if not gold.any() or (name == "auroc" and gold.all()):
                assert math.isnan(found)
            else:
                assert found == pytest.approx(score(gold, seen.log_probs[:, k]), abs=1e-12)


def test_with_two_labels_the_macro_auroc_is_the_binary_one() -> None:
    p = CASES["two labels"]
    assert p.log_probs is not None
    expected = sk.roc_auc_score(p.gold, np.exp(p.log_probs[:, 1]))
    assert get("auroc_macro")(p) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ORACLES)
def test_value_is_the_oracles(name: str, case: str) -> None:
    p = CASES[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = ORACLES[name](p)
    assert get(name)(p) == pytest.approx(expected, abs=1e-12, nan_ok=True)


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
    names = ("log_loss", "ece", "parity_kl", "parity_flips", "brier", "top_3_accuracy")
    for name in (*names, "auroc_macro", "average_precision_macro"):
        assert math.isnan(get(name)(p)), name
