"""Correlations of measures and scores: scipy as oracle, and how often intervals hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gradus.metrics.divergence import Divergence
from gradus.metrics.writings import ColumnRatio, Writings
from gradus.writing.agreement import Correlation, correlations, rank_correlation, rowwise

NUMBERS = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 3)), min_size=2, max_size=12
)


def scipy_value(one: np.ndarray, two: np.ndarray, method: str) -> float:
    if len(set(one.tolist())) < 2 or len(set(two.tolist())) < 2:
        return math.nan
    of = stats.spearmanr if method == "spearman" else stats.kendalltau
    return float(of(one, two).statistic)


@pytest.mark.parametrize("method", ["spearman", "kendall"])
@settings(deadline=None)
@given(NUMBERS)
def test_weights_are_repeats_as_scipy_sees_them(
    method: str, rows: list[tuple[int, int, int]]
) -> None:
    one, two, times = (np.array(of, dtype=np.float64) for of in zip(*rows, strict=True))
    weights = np.stack([np.ones_like(times), times])
    found = rank_correlation(one, two, weights, method)  # type: ignore[arg-type]  # a parameter of the test
    repeat = np.repeat(np.arange(len(one)), times.astype(int))
    expected = [scipy_value(one, two, method), scipy_value(one[repeat], two[repeat], method)]
    assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)
    rows_at_once = rowwise(np.stack([one, two]), np.stack([two, one]), method)  # type: ignore[arg-type]  # as above
    assert rows_at_once == pytest.approx([expected[0]] * 2, abs=1e-9, nan_ok=True)


class Measure(ColumnRatio):
    name, unit, direction, range = "measure", "u", "lower", (-math.inf, math.inf)
    source, summary, columns = "test", "test", ("above", "below")


class Score(ColumnRatio):
    name, unit, direction, range = "score", "u", "higher", (1.0, 5.0)
    source, summary, columns = "test", "test", ("score",)


def writings(
    above: np.ndarray, below: np.ndarray, score: np.ndarray, each: int = 1, **more: np.ndarray
) -> Writings:
    n = len(above)
    return Writings(
        ("p",) * n,
        ("t",) * n,
        (None,) * n,
        tuple(f"{i // each:012x}/{i % each}" for i in range(n)),
        {"above": above, "below": below, "score": score, **more},
    )


def some(seed: int, shift: float, n: int = 24) -> Writings:
    rng = np.random.default_rng(seed)
    quality = shift + rng.normal(size=n)
    below = rng.integers(1, 5, n).astype(np.float64)
    above = below * (-quality + rng.normal(size=n))
    score = np.where(rng.random(n) < 0.2, np.nan, np.clip(np.round(3 + quality), 1, 5))
    return writings(above, below, score, each=2)


def by_key(found: tuple[Correlation, ...]) -> dict[tuple[str, str], Correlation]:
    return {(one.over, one.method): one for one in found}


def test_values_are_scipys_over_writings_and_over_writers() -> None:
    writers = {name: some(i, i / 2) for i, name in enumerate(["a", "b", "c", "human"])}
    found = by_key(correlations(writers, [Measure()], [Score()], draws=200))
    assert set(found) == {(o, m) for o in ("writings", "writers") for m in ("spearman", "kendall")}
    columns = [w.columns for w in writers.values()]
    ratio = np.concatenate([c["above"] / c["below"] for c in columns])
    score = np.concatenate([c["score"] for c in columns])
    rated = np.isfinite(score)
    of_writers = [c["above"].sum() / c["below"].sum() for c in columns]
    means = [float(np.nanmean(c["score"])) for c in columns]
    for method in ("spearman", "kendall"):
        one = found["writings", method]
        assert one.value == pytest.approx(scipy_value(ratio[rated], score[rated], method))
        assert (one.n, one.prompts, one.direction) == (int(rated.sum()), 12, "lower")
        assert one.ci_low is not None
        assert one.ci_high is not None
        assert -1 <= one.ci_low < float(one.value or 0) < one.ci_high < 0
        two = found["writers", method]
        expected = scipy_value(np.array(of_writers), np.array(means), method)
        assert two.value == pytest.approx(expected)
        assert two.n == 4
        assert Correlation.from_json(two.to_json()) == two


def test_a_measure_of_a_whole_set_is_given_over_writers_alone() -> None:
    rng = np.random.default_rng(0)
    human = rng.integers(0, 5, (40, 2)).astype(np.float64)
    half = np.arange(40) % 2.0
    writers = {}
    for place, name in enumerate(["a", "b", "c"]):
        cell = np.where(rng.random((40, 2)) < place / 2, human, 0.0)
        score = np.clip(1 + place + rng.integers(0, 2, 40), 1, 5).astype(np.float64)
        own = {"cell": cell, "human_cell": human, "half": half}
        writers[name] = writings(score, np.ones(40), score, **own)
    found = correlations(writers, [Divergence()], [Score()], draws=100)
    assert [one.over for one in found] == ["writers", "writers"]
    assert [one.value for one in found] == pytest.approx([-1.0, -1.0])


def test_too_little_gives_no_number_rather_than_a_wrong_one() -> None:
    flat = writings(np.ones(6), np.ones(6), np.arange(6.0))
    found = by_key(correlations({"a": flat, "b": flat}, [Measure()], [Score()], draws=50))
    assert found["writings", "spearman"].value is None  # the measure doesn't vary
    assert found["writings", "spearman"].n == 12
    assert found["writers", "kendall"].value is None  # two writers always agree or disagree
    unrated = writings(np.arange(6.0), np.ones(6), np.full(6, np.nan))
    found = by_key(correlations({"a": unrated}, [Measure()], [Score()], draws=50))
    assert (found["writings", "spearman"].value, found["writings", "spearman"].n) == (None, 0)
    without = Writings(("p",), ("t",), (None,), ("0/0",), {})
    assert all(one.n == 0 for one in correlations({"a": without}, [Measure()], [Score()]))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spearman", "kendall"])
def test_intervals_hold_the_truth_as_often_as_they_say(method: str) -> None:
    """Texts to one prompt are alike, so an interval over single texts would be too short."""

    def draw(rng: np.random.Generator, prompts: int) -> tuple[np.ndarray, np.ndarray]:
        alike = np.repeat(rng.normal(size=(prompts, 2)), 4, axis=0)
        own = rng.normal(size=(4 * prompts, 2))
        one, two = (alike + own).T
        return 0.6 * two + one, np.round(np.clip(3 + two, 1, 5))

    big = draw(np.random.default_rng(0), 40_000)
    truth = scipy_value(*big, method)
    held = 0
    for run in range(400):
        one, two = draw(np.random.default_rng(run + 1), 40)
        items = writings(one, np.ones(len(one)), two, each=4)
        found = by_key(correlations({"a": items}, [Measure()], [Score()], draws=400))
        of = found["writings", method]
        assert of.ci_low is not None
        assert of.ci_high is not None
        held += of.ci_low <= truth <= of.ci_high
    # 400 runs at 95 %: within 92 to 98 % in all but one case of a hundred.
    assert 0.92 <= held / 400 <= 0.98


def of_writers(seed: int, apart: float, number: int, prompts: int) -> Correlation:
    """Writers whose measures are `apart`, the first two of them in the other order for people."""
    rng = np.random.default_rng(seed)
    order = np.arange(number)
    people = order.copy()
    people[:2] = people[1::-1]
    alike = rng.normal(size=prompts)  # some prompts are easy for everybody
    writers = {
        f"w{i}": writings(
            -(apart * order[i] + alike + rng.normal(size=prompts)),
            np.ones(prompts),
            3 + apart * people[i] + 0.7 * alike + rng.normal(size=prompts),
        )
        for i in range(number)
    }
    found = by_key(correlations(writers, [Measure()], [Score()], draws=200, seed=seed))
    return found["writers", "spearman"]


@pytest.mark.slow
def test_intervals_over_writers_hold_the_order_of_writers_that_prompts_can_tell_apart() -> None:
    runs = [of_writers(seed, 0.5, 4, 30) for seed in range(150)]
    held = sum((of.ci_low or 0) - 1e-9 <= -0.8 <= (of.ci_high or 0) + 1e-9 for of in runs)
    assert held / 150 >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 150)


@pytest.mark.slow
def test_chance_pulls_the_order_of_like_writers_towards_none_and_the_interval_is_wide() -> None:
    """What the module's docstring says of writers that prompts can't tell apart."""
    runs = [of_writers(seed, 0.05, 5, 24) for seed in range(60)]
    assert abs(np.mean([of.value for of in runs])) < 0.45  # with endless prompts -0.9
    widths = [(of.ci_high or 0) - (of.ci_low or 0) for of in runs]
    assert np.median(widths) > 1
