"""Several models on the same items, against statsmodels, brute force and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from gradus.metrics import get
from gradus.metrics.base import Predictions
from gradus.metrics.repeated import Repeated, Seen
from gradus.metrics.texts import Texts
from gradus.metrics.writings import Writings
from gradus.stats import compare, paired, power
from gradus.stats.compare import Pairing


def predictions(seed: int, share: float, n: int = 150, sure: float = 0.8) -> Predictions:
    """n items of three labels, the same whatever the seed, `share` of them right."""
    gold = np.random.default_rng(7).integers(0, 3, n)
    draw = np.random.default_rng(seed)
    predicted = np.where(draw.random(n) < share, gold, (gold + 1) % 3)
    rows = np.full((n, 3), (1 - sure) / 2)
    rows[np.arange(n), predicted] = sure
    rows *= draw.uniform(0.7, 1.3, rows.shape)
    log_probs = np.log(rows / rows.sum(axis=1, keepdims=True))
    ids = tuple(f"{i:04}" for i in range(n))
    return Predictions(gold, log_probs.argmax(axis=1), log_probs, ("a", "b", "c"), ids)


def pairing(one: Seen, two: Seen, names: str = "ab") -> Pairing:
    return Pairing(names[0], names[1], one, two)


@settings(max_examples=15)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_statsmodels(p_values: list[float]) -> None:
    expected = multipletests(p_values, method="holm")[1]
    assert compare.holm(p_values) == pytest.approx(list(expected), abs=1e-12)


def test_holm_of_nothing_is_nothing() -> None:
    assert compare.holm([]) == []


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_statsmodels(b: int, c: int) -> None:
    expected = mcnemar([[5, b], [c, 5]], exact=True).pvalue if b + c else 1.0
    assert compare.mcnemar_p(b, c) == pytest.approx(min(1.0, expected), abs=1e-12)


def test_three_models_are_three_tests_corrected_together() -> None:
    models = [predictions(1, 0.9), predictions(2, 0.75), predictions(3, 0.7)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    found = compare.compare(
        get("accuracy"), [pairing(models[i], models[j], "abc"[i] + "abc"[j]) for i, j in pairs]
    )
    right = [m.gold == m.predicted for m in models]
    alone = []
    for (i, j), row in zip(pairs, found, strict=True):
        assert row is not None
        b, c = (right[i] & ~right[j]).sum(), (~right[i] & right[j]).sum()
        alone.append(mcnemar([[0, b], [c, 0]], exact=True).pvalue)
        assert (row.only_first, row.only_second) == (b, c)
        assert row.difference == pytest.approx(right[i].mean() - right[j].mean())
        assert (row.low, row.high) == pytest.approx(
            (lambda f: (f.low, f.high))(paired.proportions(right[i], right[j], 0.975))
        )
        assert row.test == "exact McNemar"
    corrected = multipletests(alone, method="holm")[1]
    for row, p, p_holm in zip(found, alone, corrected, strict=True):
        assert row is not None
        assert row.p_value == pytest.approx(p)
        assert row.p_holm == pytest.approx(p_holm)
        assert row.significant == (p_holm <= 0.05)
        assert (row.n_needed is None) == row.significant


def test_what_one_pair_shows_a_family_may_not() -> None:
    one, two = predictions(1, 0.9), predictions(1, 0.9)
    swap = np.flatnonzero(two.gold == two.predicted)[:6]
    predicted = two.predicted.copy()
    predicted[swap] = (two.gold[swap] + 1) % 3
    two = Predictions(two.gold, predicted, two.log_probs, two.labels, two.ids)
    alone = compare.compare(get("accuracy"), [pairing(one, two)])[0]
    among = compare.compare(get("accuracy"), [pairing(one, two), pairing(one, one)])[0]
    assert alone is not None
    assert among is not None
    assert alone.p_value == among.p_value == pytest.approx(2 * 0.5**6)
    assert (alone.significant, among.significant) == (True, False)
    assert among.detectable is not None
    assert alone.detectable is not None
    assert among.detectable > alone.detectable


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "log_loss"])
def test_a_model_is_no_better_than_itself(metric: str) -> None:
    one = predictions(1, 0.8)
    row = compare.compare(get(metric), [pairing(one, one)])[0]
    assert row is not None
    assert row.difference == 0
    assert row.p_value == pytest.approx(1.0)
    assert row.significant is False
    assert row.n_needed is None


def test_an_undefined_value_is_none_and_not_of_the_family() -> None:
    one, two = predictions(1, 0.9, n=40), predictions(2, 0.5, n=40)
    bare = Predictions(one.gold, one.predicted, None, one.labels, one.ids)
    none = Predictions(one.gold[:0], one.predicted[:0], None, one.labels)
    found = compare.compare(get("accuracy"), [pairing(bare, two), pairing(none, none)])
    assert found[1] is None
    assert found[0] is not None
    assert found[0].p_holm == found[0].p_value


def test_the_bootstraps_p_value_is_that_of_brute_force() -> None:
    one, two = predictions(1, 0.85, n=80), predictions(2, 0.78, n=80)
    metric = get("f1_macro")
    draw, seen = np.random.default_rng(5), metric(one) - metric(two)
    shifted, swapped = [], []
    for _ in range(1500):
        rows = draw.integers(0, 80, 80)
        shifted.append(metric(one.take(rows)) - metric(two.take(rows)) - seen)
        side = draw.random(80) < 0.5
        first = Predictions(
            one.gold, np.where(side, two.predicted, one.predicted), None, one.labels
        )
        second = Predictions(
            one.gold, np.where(side, one.predicted, two.predicted), None, one.labels
        )
        swapped.append(metric(first) - metric(second))
    expected = max(np.mean(np.abs(of) >= abs(seen) - 1e-12) for of in (shifted, swapped))
    found = compare.bootstrap_p(metric, one, two, draws=4000, seed=1)
    assert found == pytest.approx(expected, abs=0.035)


def test_the_bootstraps_p_value_errs_as_often_as_it_may() -> None:
    metric, wrong = get("log_loss"), 0
    for seed in range(150):
        one, two = predictions(2 * seed, 0.8, n=60), predictions(2 * seed + 1, 0.8, n=60)
        wrong += compare.bootstrap_p(metric, one, two, draws=300, seed=seed) <= 0.05
    # 150 tests at 5 % are wrong 16 times or more with probability 0.3 %.
    assert 1 <= wrong <= 15


def scored(values: np.ndarray, each: int) -> Writings:
    """A writer with `each` texts to every prompt, all with the prompt's value."""
    n = len(values) * each
    ids = tuple(f"{i // each:012x}/{i % each}" for i in range(n))
    columns = {"judge_fluency": np.repeat(values, each)}
    return Writings(("p",) * n, ("t",) * n, (None,) * n, ids, columns)


@pytest.mark.parametrize(("mine", "theirs"), [(1, 1), (4, 4), (3, 1), (1, 3)])
def test_texts_to_one_prompt_are_drawn_and_exchanged_together(mine: int, theirs: int) -> None:
    """Saying a thing four times over makes no prompt more of it."""
    draw, metric = np.random.default_rng(8), get("judge_fluency")
    one, two = draw.normal(3.2, 1, 14), draw.normal(2.6, 1, 14)
    plain, several = (
        compare.compare(metric, [pairing(scored(one, a), scored(two, b))], draws=500)[0]
        for a, b in ((1, 1), (mine, theirs))
    )
    assert plain is not None
    assert several is not None
    assert several.p_value == plain.p_value
    assert 0.001 < several.p_value < 0.5
    assert (several.low, several.high) == pytest.approx((plain.low, plain.high), abs=1e-9)


@pytest.mark.parametrize(("discordant", "n", "level"), [(0.1, 300, 0.975), (0.3, 100, 0.95)])
def test_the_detectable_share_is_shown_in_four_of_five_simulations(
    discordant: float, n: int, level: float
) -> None:
    least = compare.detectable_share(discordant, n, level=level)
    assert least is not None
    b, c = max((discordant + least) / 2, least), max((discordant - least) / 2, 0.0)
    draw = np.random.default_rng(3).multinomial(n, [b, c, 1 - b - c], size=6000)
    shown = np.mean(
        [stats.binom.sf(x - 1, x + y, 0.5) <= 1 - level if x + y else False for x, y, _ in draw]
    )
    assert shown == pytest.approx(0.8, abs=0.02)


def test_one_improbable_item_does_not_drown_a_perplexity() -> None:
    """Worse on every item, and by far on one: plain differences of resamples are all over."""
    draw, n = np.random.default_rng(8), 40
    ones, ids = np.ones(n, np.int64), tuple(map(str, range(n)))
    nats = draw.normal(-5, 1, n)
    worse = nats - draw.uniform(1, 3, n)
    worse[0] -= 60
    one, two = (Texts(of, ones, ones, ones, ones, ids=ids) for of in (nats, worse))
    row = compare.compare(get("target_perplexity"), [Pairing("a", "b", one, two)])[0]
    assert row is not None
    assert row.test == "paired bootstrap of logarithms"
    assert row.difference == pytest.approx(math.exp(-nats.mean()) - math.exp(-worse.mean()))
    assert row.p_value is not None
    assert row.p_value < 0.05 < compare.bootstrap_p(get("target_perplexity"), one, two)
    assert row.significant is True
    # What is detectable is a ratio, told in the unit: of the logarithms' own test.
    by_logs = compare.compare(get("log_likelihood_nats"), [Pairing("a", "b", one, two)])[0]
    assert by_logs is not None
    assert row.p_value == pytest.approx(by_logs.p_value or 0, abs=0.01)


def test_three_items_show_nothing() -> None:
    assert compare.detectable_share(0.5, 3, level=0.975) is None
    assert compare.detectable_share(0.0, 0, level=0.975) is None


def test_the_detectable_mean_is_shown_in_four_of_five_simulations() -> None:
    n, spread, level = 50, 2.0, 0.975
    half = stats.norm.ppf(level) * spread / math.sqrt(n)
    least = compare.detectable_mean(half, level=level)
    assert least is not None
    means = np.random.default_rng(4).normal(least, spread, (8000, n)).mean(axis=1)
    assert np.mean(means > half) == pytest.approx(0.8, abs=0.02)
    assert power.for_bootstrap(least, half, n, level=level) in (n, n + 1)
    assert compare.detectable_mean(math.inf, level=level) is None


def test_several_seeds_are_compared_at_bonferronis_level() -> None:
    first = Repeated(tuple(predictions(s, 0.9) for s in (1, 2, 3)))
    second = Repeated(tuple(predictions(s, 0.7) for s in (4, 5, 6)))
    row = compare.compare(get("accuracy"), [Pairing("a", "b", first, second)], draws=500)[0]
    assert row is not None
    assert row.p_value is None
    assert row.test.startswith("two-level bootstrap")
    assert row.significant is (row.low > 0)
    assert row.difference == pytest.approx(row.first_value - row.second_value)
