from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import log_softmax

from gradus.calibrate.thresholds import _best_cut, tunable, tune
from gradus.errors import UsageError
from gradus.metrics import get
from gradus.metrics.base import Predictions
from gradus.predict.base import decide

LABELS = ("a", "b", "c")


def drawn(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """A rare label whose probability is always too small."""
    rng = np.random.default_rng(seed)
    gold = rng.choice(3, n, p=[0.75, 0.2, 0.05])
    logits = rng.normal(0, 1, (n, 3)) + 1.5 * np.eye(3)[gold] + np.array([2.0, 0.0, -2.0])
    return log_softmax(logits, axis=1), gold


def f1(rows: np.ndarray, gold: np.ndarray, thresholds: list[float]) -> float:
    said = decide(rows, thresholds)
    return float(get("f1_macro")(Predictions(gold, said, None, LABELS)))


def test_one_cut_is_the_best_of_all() -> None:
    """Every cut that can change an answer, tried one by one."""
    for seed, label in itertools.product(range(4), range(3)):
        rows, gold = drawn(seed, 40)
        thresholds = np.array([0.5, 0.4, 0.3])
        found = _best_cut(rows, gold, thresholds, label, get("f1_macro"))
        tried = np.linspace(0.011, 0.989, 4000)
        values = [f1(rows, gold, [*thresholds[:label], t, *thresholds[label + 1 :]]) for t in tried]
        own = [*thresholds[:label], found, *thresholds[label + 1 :]]
        assert f1(rows, gold, own) >= max(values) - 1e-12


def test_they_help_where_they_can() -> None:
    rows, gold = drawn(5, 2000)
    tuned = tune(rows, gold, LABELS, (0.5,) * 3, "f1_macro", "label")
    assert tuned.thresholds is not None
    assert tuned.before < tuned.held_out < tuned.after + 0.02
    fresh, true = drawn(6, 4000)
    assert f1(fresh, true, list(tuned.thresholds)) > f1(fresh, true, [0.5] * 3) + 0.05


def test_what_does_not_help_elsewhere_is_not_kept() -> None:
    rng = np.random.default_rng(7)
    kept = 0
    for _ in range(20):
        logits = rng.normal(0, 2, (100, 3))
        rows = log_softmax(logits, axis=1)
        gold = np.array([rng.choice(3, p=np.exp(row)) for row in rows])
        kept += tune(rows, gold, LABELS, (0.5,) * 3, "f1_macro", "label").thresholds is not None
    assert kept <= 10


def test_of_sets_of_labels() -> None:
    rng = np.random.default_rng(8)
    gold = rng.random((800, 3)) < [0.5, 0.2, 0.1]
    p = np.clip(rng.normal(np.where(gold, 0.45, 0.2), 0.1), 0.01, 0.99)
    for metric in tunable("labels"):
        tuned = tune(np.log(p), gold, LABELS, (0.5,) * 3, metric, "labels")
        assert tuned.thresholds is not None
        assert all(0.2 < cut < 0.5 for cut in tuned.thresholds)
        assert tuned.held_out > tuned.before + 0.1


def test_metrics_that_can_not_be_tuned_for_are_named() -> None:
    assert {"f1_macro", "balanced_accuracy", "mcc"} <= set(tunable("label"))
    rows, gold = drawn(1, 10)
    with pytest.raises(UsageError, match="log_loss"):
        tune(rows, gold, LABELS, (0.5,) * 3, "log_loss", "label")
    assert tunable("spans") == []
