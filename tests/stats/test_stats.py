"""Intervals, paired tests and numbers of items against oracles and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.proportion import proportion_confint

from gradus.metrics import get
from gradus.metrics.base import Metric, Observed, Predictions
from gradus.stats import intervals, paired, power, proportions, pseudo


def world(
    n: int, k: int, signal: float, rng: np.random.Generator, *, copies: int = 1, shared: float = 0.0
) -> list[Predictions]:
    """Calibrated classifiers of equal quality on the same n items, `shared` their correlation."""
    gold = rng.integers(0, k, n)
    base = rng.normal(size=(n, k))
    found = []
    for _ in range(copies):
        score = shared * base + math.sqrt(1 - shared**2) * rng.normal(size=(n, k))
        score[np.arange(n), gold] += signal
        logits = score * signal
        logits -= logits.max(axis=1, keepdims=True)
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        labels = tuple(str(i) for i in range(k))
        found.append(Predictions(gold, log_probs.argmax(axis=1), log_probs, labels))
    return found


@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_wilson_is_statsmodels(n: int, share: float, level: float) -> None:
    successes = round(share * n)
    low, high = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    assert proportions.wilson(successes, n, level) == pytest.approx((low, high), abs=1e-12)
    shown = proportions.shown(successes, n, level)
    assert shown[0] <= low + 1e-12
    assert shown[1] >= high - 1e-12
    if 4 < successes < n - 4:
        assert shown == pytest.approx((low, high), abs=1e-12)
    exact = proportion_confint(successes, n, alpha=1 - level, method="beta")
    assert proportions.exact(successes, n, level) == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize(("n", "least"), [(10, 0.92), (50, 0.93), (200, 0.929), (1000, 0.93)])
def test_shown_interval_covers_near_the_ends_where_wilsons_does_not(n: int, least: float) -> None:
    counts = np.arange(n + 1)
    shares = np.geomspace(0.5 / n / 10, 0.1, 400)
    chances = stats.binom.pmf(counts, n, shares[:, None])

    def least_coverage(ends: list[tuple[float, float]]) -> float:
        low, high = np.array(ends).T
        inside = (low <= shares[:, None]) & (shares[:, None] <= high)
        return float((chances * inside).sum(axis=1).min())

    assert least_coverage([proportions.shown(int(c), n) for c in counts]) >= least
    assert least_coverage([proportions.exact(int(c), n) for c in counts]) >= 0.95
    assert least_coverage([proportions.wilson(int(c), n) for c in counts]) < least


def test_attainable_coverage_by_brute_force() -> None:
    for n, share in ((50, 0.99), (50, 0.9), (20, 0.5), (200, 0.999)):
        chances = stats.binom.pmf(np.arange(n + 1), n, share)
        runs = [chances[i:j].sum() for i in range(n + 1) for j in range(i + 1, n + 2)]
        enough = [run for run in runs if run >= 0.93]
        best = min(enough, key=lambda run: abs(run - 0.95))
        assert proportions.attainable(share, n) == pytest.approx(best, abs=1e-9)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test(b: int, c: int) -> None:
    expected = stats.binomtest(b, b + c, 0.5, alternative="greater").pvalue if b + c else 1.0
    assert paired.mcnemar(b, c) == pytest.approx(expected, abs=1e-12)
    two_sided = sm_mcnemar([[0, b], [c, 0]], exact=True).pvalue if b + c else 1.0
    assert min(1.0, 2 * min(paired.mcnemar(b, c), paired.mcnemar(c, b))) == pytest.approx(two_sided)


@pytest.mark.parametrize(
    ("b", "c", "n", "low", "high"),
    [
        # Fagerland, Lydersen and Laake (2014), airway hyper-responsiveness of 21 children.
        (1, 7, 21, -0.517, -0.026),
        # Newcombe (1998), table of the paired methods: 36, 12, 2, 0.
        (12, 2, 50, 0.0611, 0.3447),
    ],
)
def test_tango_gives_the_published_intervals(
    b: int, c: int, n: int, low: float, high: float
) -> None:
    assert paired.tango(b, c, n) == pytest.approx((low, high), abs=5e-4)


@given(st.integers(0, 15), st.integers(0, 15), st.integers(1, 30))
def test_tango_ends_where_the_score_test_starts_to_reject(b: int, c: int, rest: int) -> None:
    n = b + c + rest
    low, high = paired.tango(b, c, n)

    def score(difference: float) -> float:
        """Restricted likelihood maximised by brute force instead of Tango's closed form."""

        def loss(q: float) -> float:
            cells = np.array([q + difference, q, 1 - 2 * q - difference])
            return -float(np.sum(np.array([b, c, rest]) * np.log(np.maximum(cells, 1e-300))))

        bottom, top = max(0.0, -difference), (1 - difference) / 2
        q = optimize.minimize_scalar(loss, bounds=(bottom, top), options={"xatol": 1e-10}).x
        return (b - c - n * difference) / math.sqrt(n * (2 * q + difference - difference**2))

    z = float(stats.norm.ppf(0.975))
    assert -1 <= low < (b - c) / n < high <= 1
    assert score(low) == pytest.approx(z, abs=2e-3)
    assert score(high) == pytest.approx(-z, abs=2e-3)


def test_tango_keeps_its_width_without_a_discordant_item() -> None:
    z2 = stats.norm.ppf(0.975) ** 2
    assert paired.tango(0, 0, 50) == pytest.approx((-z2 / (50 + z2), z2 / (50 + z2)), abs=1e-5)
    assert paired.tango(5, 0, 5)[1] == 1.0
    assert paired.tango(0, 5, 5)[0] == -1.0
    assert all(math.isnan(end) for end in paired.tango(0, 0, 0))


def test_accuracy_under_two_labels_pool_is_a_beta_posterior() -> None:
    gold = np.arange(50) % 2
    predicted = np.where(np.arange(50) < 46, gold, 1 - gold)
    rng = np.random.default_rng(0)
    pool = pseudo.pool(Predictions(gold, predicted, None, ("a", "b")), rng, kinds=True)
    assert pool.counts.sum() == 50
    weights = pool.weights(20_000, rng)
    draws = get("accuracy").weighted(pool.items, weights)
    # Two labels: two pseudo-items right and two wrong, of weight Gamma(1/2) each.
    assert stats.kstest(draws, stats.beta(47, 5).cdf).pvalue > 0.001
    weights[:, len(pool.counts) :] = 0
    assert (
        stats.kstest(get("accuracy").weighted(pool.items, weights), stats.beta(46, 4).cdf).pvalue
        > 0.001
    )


def test_skewed_weights_have_the_moments_they_say() -> None:
    p = world(50, 3, 2.0, np.random.default_rng(1))[0]
    pool = pseudo.pool(p, np.random.default_rng(2))
    weights = pool.weights(20_000, np.random.default_rng(3), skewed=True)[:, :50]
    assert weights.min() > 0
    assert weights.mean() == pytest.approx(1, abs=0.01)
    assert weights.var() == pytest.approx(1, abs=0.02)
    assert stats.skew(weights.ravel()) == pytest.approx(2 / math.sqrt(0.43), rel=0.03)


@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_timing_interval_covers_by_its_ranks(quantile: float) -> None:
    rng = np.random.default_rng(0)
    truth = float(stats.lognorm.ppf(quantile, 1.0))
    rounds = 120
    found = [
        intervals.timing_interval(rng.lognormal(size=rounds), quantile=quantile)
        for _ in range(1500)
    ]
    covered = np.mean([i.low <= truth <= i.high for i in found])
    assert 0.94 <= covered <= 0.99
    assert intervals.timing_interval(np.arange(5.0)).high == math.inf
    assert intervals.timing_interval(np.arange(6.0)).ends() == (0.0, 5.0)


COVERED = ["accuracy", "f1[0]", "balanced_accuracy", "f1_macro", "mcc", "log_loss", "ece"]


@pytest.mark.parametrize("name", COVERED)
def test_intervals_cover_the_truth_on_fifty_items(name: str) -> None:
    rng = np.random.default_rng(7)
    metric = get(name, ("0", "1", "2"))
    truth = metric(world(200_000, 3, 2.0, rng)[0])
    runs = 250
    hits = 0
    for seed in range(runs):
        found = intervals.interval(metric, world(50, 3, 2.0, rng)[0], draws=500, seed=seed)
        hits += found.low <= truth <= found.high
    # 0.95 within four binomial standard errors, below; a longer interval is no false claim.
    assert hits / runs >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / runs)


def test_counts_keep_their_width_where_no_error_was_seen() -> None:
    p = Predictions(np.arange(50) % 3, np.arange(50) % 3, None, ("a", "b", "c"))
    for name in ("f1_macro", "mcc", "balanced_accuracy", "precision_macro", "f1_weighted"):
        found = intervals.interval(get(name), p)
        assert found.high == 1.0, name
        assert 0.8 < found.low < 0.97, name


@pytest.mark.parametrize("name", ["f1_macro", "f1[0]", "log_loss", "ece", "mcc"])
def test_paired_bounds_err_at_most_at_alpha_under_the_null(name: str) -> None:
    rng = np.random.default_rng(11)
    runs, wrong = 300, 0
    for seed in range(runs):
        first, second = world(60, 3, 2.0, rng, copies=2, shared=0.8)
        metric = get(name, first.labels)
        found = paired.bootstrap(metric, first, second, draws=400, seed=seed)
        wrong += (found.low > 0) + (found.high < 0)
    alpha = 0.05
    assert wrong / (2 * runs) <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / (2 * runs))


def test_bootstrap_finds_a_real_difference_and_its_sign() -> None:
    rng = np.random.default_rng(2)
    gold = rng.integers(0, 3, 400)
    labels = ("0", "1", "2")
    good = Predictions(gold, np.where(rng.random(400) < 0.95, gold, (gold + 1) % 3), None, labels)
    bad = Predictions(gold, np.where(rng.random(400) < 0.7, gold, (gold + 1) % 3), None, labels)
    found = paired.bootstrap(get("f1_macro"), good, bad)
    assert 0.15 < found.low < found.value < found.high < 0.35
    back = paired.bootstrap(get("f1_macro"), bad, good)
    assert back.value == pytest.approx(-found.value)
    half = paired.bootstrap(get("f1_macro"), good, bad, factor=0.5)
    assert half.low > found.low


def test_a_metric_without_weights_is_resampled_row_by_row() -> None:
    class Slow(Metric):
        range = (0.0, 1.0)
        interval = "bootstrap"

        def __call__(self, observed: Predictions) -> float:
            return float(np.mean(observed.gold == observed.predicted))

    p = world(80, 3, 2.0, np.random.default_rng(1))[0]
    found = intervals.interval(Slow(), p, draws=800)
    low, high = proportions.wilson(int((p.gold == p.predicted).sum()), 80)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03)
    assert found.method == "BCa bootstrap"


def test_the_same_seed_gives_the_same_interval_and_undefined_gives_nan() -> None:
    p = world(80, 3, 2.0, np.random.default_rng(1))[0]
    first, again = (intervals.interval(get("f1_macro"), p, seed=4) for _ in range(2))
    assert first == again
    assert first != intervals.interval(get("f1_macro"), p, seed=5)
    none = intervals.interval(get("log_loss"), Predictions(p.gold, p.predicted, None, p.labels))
    assert none.ends() == (None, None)
    size = intervals.interval(get("size_mb"), Observed(size_mb=3.0))
    assert (size.low, size.high, size.method) == (3.0, 3.0, "none")


def test_ratio_of_timings_cancels_what_slows_a_round() -> None:
    rng = np.random.default_rng(3)
    slow = rng.lognormal(sigma=0.5, size=40)
    own, other = 6 * slow * rng.normal(1, 0.01, 40), 10 * slow * rng.normal(1, 0.01, 40)
    found = paired.timings(own, other)
    assert 0.55 < found.low < 0.6 < found.high < 0.65
    apart = paired.timings(own, other[:-1])
    assert apart.high - apart.low > 3 * (found.high - found.low)
    assert paired.timings(own[:5], other[:5]).high == math.inf
    gap = paired.timings(own, other, factor=1.0)
    assert gap.low < np.median(own) - np.median(other) < gap.high < 0


@pytest.mark.parametrize(("share", "bound"), [(0.97, 0.95), (0.9, 0.95), (0.02, 0.05)])
def test_power_for_a_proportion(share: float, bound: float) -> None:
    n = power.for_proportion(share, bound)
    assert n is not None
    hits = np.arange(n + 1)
    ends = np.array([proportions.exact(int(h), n, 0.9) for h in hits])
    clears = ends[:, 0] > bound if share > bound else ends[:, 1] < bound
    real = stats.binom.pmf(hits, n, share)[clears].sum()
    assert real == pytest.approx(power.proportion_power(share, bound, n), abs=1e-9)
    assert 0.8 <= real < 0.87
    # At the bound itself a claim is false; it is made in at most 5 % of the cases.
    assert stats.binom.pmf(hits, n, bound)[clears].sum() <= 0.05


def test_power_for_mcnemar_and_tango_by_simulation() -> None:
    rng = np.random.default_rng(5)
    n = power.for_mcnemar(0.08, 0.03)
    assert n is not None
    cells = rng.multinomial(n, [0.08, 0.03, 0.89], size=4000)
    opened = np.mean([paired.mcnemar(int(b), int(c)) <= 0.05 for b, c, _ in cells])
    assert opened == pytest.approx(0.8, abs=0.03)
    assert power.mcnemar_power(0.08, 0.03, n) == pytest.approx(opened, abs=0.025)
    m = power.for_paired(0.03, 0.03, -0.02)
    assert m is not None
    cells = rng.multinomial(m, [0.03, 0.03, 0.94], size=600)
    opened = np.mean([paired.tango(int(b), int(c), m, 0.9)[0] >= -0.02 for b, c, _ in cells])
    assert opened == pytest.approx(0.8, abs=0.06)


def test_power_where_no_number_decides() -> None:
    assert power.for_proportion(0.9, 0.9) is None
    assert power.for_mcnemar(0.1, 0.1) is None
    assert power.for_mcnemar(0.0, 0.0) is None
    assert power.for_bootstrap(0.0, 0.1, 50) is None
    assert power.for_bootstrap(0.1, math.inf, 1) is None
    # Without a discordant item the bound is exact: 0.99^n is at most 5 %, from 299 items on.
    n = power.for_paired(0.0, 0.0, -0.01)
    assert n is not None
    assert 299 <= n <= 303


@pytest.mark.parametrize(
    ("b", "c", "bound", "n"),
    [(0.05, 0.05, -0.03, 300), (0.02, 0.0, -0.01, 150), (0.1, 0.2, 0.0, 80), (0.0, 0.02, 0.02, 90)],
)
def test_paired_power_is_the_share_of_tables_that_the_bounds_tell(
    b: float, c: float, bound: float, n: int
) -> None:
    rng = np.random.default_rng(1)
    told = 0
    for only_b, only_c, _ in rng.multinomial(n, [b, c, 1 - b - c], size=700):
        first = np.arange(n) < only_b
        second = (np.arange(n) >= only_b) & (np.arange(n) < only_b + only_c)
        found = paired.proportions(first, second)
        told += found.low >= bound if b - c > bound else found.high <= bound
    assert power.paired_power(b, c, bound, n) == pytest.approx(told / 700, abs=0.06)


def test_equal_answers_bound_a_difference_as_exactly_as_their_number_allows() -> None:
    same = np.ones(299, bool)
    found = paired.proportions(same, same)
    # No discordant item among 299: a share of 1 % of them would show with 95 % confidence.
    assert found.low == pytest.approx(-(1 - 0.05 ** (1 / 299)))
    assert found.high == -found.low < 0.01


def test_power_for_a_bootstrap_by_simulation() -> None:
    rng = np.random.default_rng(6)
    pilot = rng.normal(0.1, 1.0, 100)
    half = 1.645 / 10
    n = power.for_bootstrap(0.1, half, len(pilot))
    assert n is not None
    means = rng.normal(0.1, 1.0, (2000, n)).mean(axis=1)
    assert np.mean(means - 1.645 / math.sqrt(n) > 0) == pytest.approx(0.8, abs=0.03)
