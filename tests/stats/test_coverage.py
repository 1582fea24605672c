"""A smaller form of bench/coverage.py: intervals, claims and power by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradus import registry
from gradus.gates import Sequence, Side, judge, parse
from gradus.metrics import get
from gradus.metrics.base import Metric, Predictions
from gradus.metrics.labelsets import LabelSets
from gradus.records import Answer, Measurement
from gradus.stats import intervals, power, pseudo
from gradus.testing import populations
from gradus.testing.populations import World

LABELS = (0.4, 0.3, 0.15, 0.1, 0.05)
IDS = tuple(map(str, range(2000)))


def least(share: float, runs: int) -> float:
    """Four binomial standard errors below a share."""
    return share - 4 * math.sqrt(share * (1 - share) / runs)


@pytest.mark.parametrize("accuracy", [0.9, 0.99, 0.999])
@pytest.mark.parametrize(
    "name", ["accuracy", "f1_macro", "balanced_accuracy", "mcc", "log_loss", "ece", "parity_kl"]
)
def test_fifty_items_cover_the_truth_near_the_end_of_the_scale(name: str, accuracy: float) -> None:
    rng = np.random.default_rng(3)
    made = populations.classifier(World(accuracy=accuracy, labels=LABELS, size=20_000), rng)
    found = populations.coverage([get(name, made.labels)], made, 50, runs=80, draws=200)[0]
    assert found.runs == 80
    assert found.share >= least(0.93, 80)


ZIPF = tuple(1 / rank / sum(1 / r for r in range(1, 21)) for rank in range(1, 21))


@pytest.mark.parametrize(
    ("need", "name", "world"),
    [
        ("spans", "span_f1", World(accuracy=0.99, labels=LABELS, size=3000)),
        ("spans", "span_precision", World(accuracy=0.9, labels=LABELS, size=3000)),
        ("labels", "f1_macro", World(accuracy=0.9, labels=ZIPF, size=20_000)),
        ("labels", "precision_macro", World(accuracy=0.9, labels=ZIPF, size=20_000)),
        ("probabilities", "auroc_macro", World(accuracy=0.5, labels=LABELS, size=20_000)),
        (
            "probabilities",
            "average_precision_macro",
            World(accuracy=0.5, labels=LABELS, size=20_000),
        ),
        ("numbers", "rmse", World(accuracy=0.9, size=20_000)),
        ("numbers", "r2", World(accuracy=0.9, size=20_000)),
        ("numbers", "pearson", World(accuracy=0.5, size=20_000)),
    ],
)
def test_fifty_items_cover_the_truth_where_a_resample_of_items_falls_short(
    need: str, name: str, world: World
) -> None:
    made = populations.BUILDERS[need](world, np.random.default_rng(3))
    found = populations.coverage([get(name, made.labels)], made, 50, runs=80, draws=200)[0]
    assert found.runs == 80
    assert found.share >= least(0.93, 80)


@pytest.mark.parametrize("accuracy", [0.5, 0.9])
def test_sets_of_labels_are_said_in_every_world(accuracy: float) -> None:
    world = World(accuracy=accuracy, labels=(0.2, 0.1), size=20_000)
    made = populations.label_sets(world, np.random.default_rng(1))
    assert made.predicted.mean() > 0.02
    off = (made.gold != made.predicted).mean(axis=0)
    assert off == pytest.approx((1 - accuracy) * np.array([0.2, 0.1]), abs=0.005)


def test_sets_of_labels_keep_their_width_where_no_error_was_seen() -> None:
    rng = np.random.default_rng(5)
    gold = rng.random((50, 3)) < 0.4
    sure = np.log(np.where(gold, 0.99, 0.01))
    sets = LabelSets(gold, gold, sure, ("a", "b", "c"))
    for name in ("multilabel_f1_micro", "multilabel_f1_macro", "multilabel_f1_samples"):
        found = intervals.interval(get(name), sets, draws=400)
        assert found.method == "bayesian bootstrap"
        assert found.high == 1.0, name
        assert 0.7 < found.low < 0.98, name
    made = pseudo.pool(sets, rng)
    extra = made.items.take(np.arange(50, len(made.items)))
    off = (extra.gold != extra.predicted).sum(axis=1)
    # The first half of the groups has one label wrong in each item, the second none.
    assert (off[: len(off) // 2] == 1).all()
    assert not off[len(off) // 2 :].any()


def test_coverage_counts_what_it_says() -> None:
    class Fixed(Metric):
        range = (0.0, 1.0)
        interval = "wilson"

        def __call__(self, observed: Predictions) -> float:
            return float(np.mean(observed.gold == observed.predicted))

        def successes(self, predictions: Predictions) -> np.ndarray:
            return np.asarray(predictions.gold == predictions.predicted)

    made = populations.classifier(World(accuracy=0.8, size=5000), np.random.default_rng(0))
    found = populations.coverage([Fixed()], made, 100, runs=200)[0]
    assert found.truth == pytest.approx(0.8, abs=0.01)
    assert found.covered + found.below + found.above == found.runs == 200
    assert 0.88 < found.share < 0.99
    assert found.below > 0 < found.above
    assert 0.13 < found.length < 0.17


@pytest.mark.parametrize("accuracy", [0.5, 0.9, 0.999])
def test_population_has_the_accuracy_and_at_sharpness_one_true_probabilities(
    accuracy: float,
) -> None:
    made = populations.classifier(World(accuracy=accuracy, size=50_000), np.random.default_rng(2))
    assert get("accuracy")(made) == pytest.approx(accuracy, abs=0.002)
    assert get("ece")(made) < 0.01
    sharp = World(accuracy=accuracy, sharpness=2.0, size=50_000)
    assert get("ece")(populations.classifier(sharp, np.random.default_rng(2))) >= get("ece")(made)


def test_every_need_of_the_catalog_with_an_interval_has_a_population() -> None:
    kinds = [registry.load("metrics", entry) for entry in registry.names("metrics")]
    needs = {kind.needs for kind in kinds if kind.interval != "none"}
    assert needs <= set(populations.BUILDERS)
    assert {"labels", "probabilities", "parent", "latency"} <= needs


def side(name: str, predictions: Predictions) -> Side:
    value = get("accuracy")(predictions)
    measured = Measurement(
        metric="accuracy", value=value, unit="proportion", direction="higher", n=len(predictions)
    )
    return Side(name, [measured], predictions)


def pair(b: float, c: float, n: int, rng: np.random.Generator) -> list[Predictions]:
    kind = rng.choice(3, size=n, p=[b, c, 1 - b - c])
    gold = np.zeros(n, np.int64)
    return [
        Predictions(gold, np.where(np.isin(kind, hit), 0, 1), None, ("0", "1"), IDS[:n])
        for hit in ((0, 2), (1, 2))
    ]


def opened(gate: str, own: Predictions, other: Predictions) -> bool:
    return judge(parse(gate), side("own", own), side("parent", other)).verdict is Answer.OPEN


def test_the_best_of_several_on_select_gains_nothing_on_gate() -> None:
    """Plans of two steps that gain nothing: at most 5 % of them claim something."""
    rng, plans, wrong = np.random.default_rng(4), 120, 0
    for _ in range(plans):
        sequence, claimed = Sequence(), False
        for gate in ("accuracy > parent", "accuracy > parent"):
            # Equal checkpoints: whichever is best on select, on gate it is one like any other.
            select = [pair(0.1, 0.1, 150, rng)[0] for _ in range(2)]
            chosen = int(np.argmax([get("accuracy")(seen) for seen in select]))
            own, other = [pair(0.1, 0.1, 150, rng) for _ in range(2)][chosen]
            verdict = judge(parse(gate), side("own", own), side("parent", other))
            verdict = sequence.record(verdict)
            claimed |= verdict.verdict is Answer.OPEN and verdict.claim
        wrong += claimed
    assert wrong / plans <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / plans)


def test_a_loss_of_the_whole_margin_is_seldom_let_pass() -> None:
    rng, runs = np.random.default_rng(6), 300
    wrong = sum(
        opened("accuracy >= parent - 0.02", *pair(0.03, 0.05, 400, rng)) for _ in range(runs)
    )
    assert wrong / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize(
    ("gate", "b", "c", "n"),
    [
        ("accuracy > parent", 0.1, 0.05, power.for_mcnemar(0.1, 0.05)),
        ("accuracy >= parent - 0.03", 0.03, 0.03, power.for_paired(0.03, 0.03, -0.03)),
    ],
)
def test_a_gate_opens_as_often_as_its_number_of_items_says(
    gate: str, b: float, c: float, n: int
) -> None:
    rng, runs = np.random.default_rng(8), 250
    share = sum(opened(gate, *pair(b, c, n, rng)) for _ in range(runs)) / runs
    assert share == pytest.approx(power.POWER, abs=0.09)


def test_the_interval_of_a_timing_covers_its_quantile() -> None:
    made = populations.timings(World(size=20_000), np.random.default_rng(1))
    metrics = [get(name) for name in ("latency_p50_ms", "latency_p95_ms", "throughput_texts_s")]
    for found in populations.coverage(metrics, made, 200, runs=300):
        assert least(0.95, 300) <= found.share <= 0.99


def test_student_factor_is_one_for_many_items() -> None:
    assert intervals.student(10_000, 0.95) == pytest.approx(1, abs=1e-3)
    assert intervals.student(10, 0.95) == pytest.approx(2.262 / 1.96, abs=1e-3)
    assert intervals.student(1, 0.95) == intervals.student(6, 0.95)
