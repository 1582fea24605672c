"""Krippendorff's alpha against published examples, another library and the definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.stats.agreement import Level, agreement, alpha

N = np.nan

# Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, example C and D: four observers.
FOUR = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
        [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
    ]
)

# The same paper's example A: two observers, ten binary units.
BINARY = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]], np.float64)

# Its example B: two observers, twelve nominal units.
NAMES = np.array([list("aabbdcccedda"), list("babbbcccedda")])
NOMINAL = np.array([[ord(value) for value in row] for row in NAMES], np.float64)
NOMINAL[1, 11] = ord("d")

# Hayes and Krippendorff (2007), table 1: five observers, forty newspaper articles, ranks 0 to 3.
HAYES = np.array(
    [
        [N if value == "." else float(value) for value in row]
        for row in (
            "112.001122.01311211000201001111223222221",
            "1130000.21102311121000302102111122222221",
            "203000222100221123001.30.1012202.2232.21",
            ".13....0.10022...31.103021122..122...12.",
            "2..0001.2....3112..0.0..2.0..20.2.2222.1",
        )
    ]
)


@pytest.mark.parametrize(
    ("values", "level", "published", "digits"),
    [
        (FOUR, "nominal", 0.743, 3),
        (FOUR, "ordinal", 0.815, 3),
        (FOUR, "interval", 0.849, 3),
        (BINARY, "nominal", 0.095, 3),
        (NOMINAL, "nominal", 0.692, 3),
        (HAYES, "ordinal", 0.7598, 4),
        (HAYES, "nominal", 0.4765, 4),
    ],
)
def test_published_examples(
    values: np.ndarray, level: Level, published: float, digits: int
) -> None:
    assert round(alpha(values, level), digits) == published


def test_units_judged_once_dont_count() -> None:
    found = agreement(HAYES, "ordinal")
    assert (found.units, found.raters) == (40, 5)
    assert found.low < found.alpha < found.high
    four = agreement(FOUR, "nominal")
    # The last unit has one value.
    assert (four.units, four.pairable) == (11, 40)


ratings = st.integers(2, 5).flatmap(
    lambda raters: st.integers(2, 12).flatmap(
        lambda units: st.lists(
            st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0, N]), min_size=units, max_size=units),
            min_size=raters,
            max_size=raters,
        )
    )
)


def by_definition(values: np.ndarray, level: Level) -> float:
    """Mean disagreement within units over that of all pairable ratings, pair by pair."""
    units = [column[~np.isnan(column)] for column in values.T]
    units = [column for column in units if len(column) > 1]
    pool = np.concatenate(units) if units else np.array([])
    if len(pool) < 2:
        return math.nan

    def apart(one: float, other: float) -> float:
        if level == "nominal":
            return float(one != other)
        if level == "interval":
            return (one - other) ** 2
        low, high = min(one, other), max(one, other)
        between = ((pool >= low) & (pool <= high)).sum()
        return float(between - ((pool == low).sum() + (pool == high).sum()) / 2) ** 2

    within = sum(
        sum(apart(a, b) for i, a in enumerate(unit) for j, b in enumerate(unit) if i != j)
        / (len(unit) - 1)
        for unit in units
    ) / len(pool)
    across = sum(apart(a, b) for i, a in enumerate(pool) for j, b in enumerate(pool) if i != j)
    across /= len(pool) * (len(pool) - 1)
    return 1 - within / across if across else math.nan


@settings(max_examples=60, deadline=None)
@given(ratings, st.sampled_from(["nominal", "ordinal", "interval"]))
def test_it_is_what_the_definition_says(rows: list[list[float]], level: Level) -> None:
    values = np.array(rows)
    assert alpha(values, level) == pytest.approx(by_definition(values, level), nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(ratings, st.randoms())
def test_neither_raters_nor_units_have_an_order(rows: list[list[float]], random: object) -> None:
    values = np.array(rows)
    turned = values[::-1, ::-1]
    assert alpha(turned, "ordinal") == pytest.approx(alpha(values, "ordinal"), nan_ok=True)


def test_nltk_agrees() -> None:
    task = pytest.importorskip("nltk.metrics.agreement")
    metrics = pytest.importorskip("nltk.metrics")
    draw = np.random.default_rng(3)
    values = draw.integers(1, 6, size=(4, 15)).astype(np.float64)
    values[draw.random(values.shape) < 0.2] = N
    rows = [
        (str(rater), str(unit), int(values[rater, unit]))
        for rater, unit in zip(*np.nonzero(~np.isnan(values)), strict=True)
    ]
    # Units judged once have no partner; NLTK wants them gone.
    alone = {str(u) for u in np.flatnonzero((~np.isnan(values)).sum(axis=0) < 2)}
    rows = [row for row in rows if row[1] not in alone]
    assert alpha(values, "nominal") == pytest.approx(task.AnnotationTask(rows).alpha())
    with_numbers = task.AnnotationTask(rows, distance=metrics.interval_distance)
    assert alpha(values, "interval") == pytest.approx(with_numbers.alpha())


def test_what_isnt_defined_says_why() -> None:
    same = agreement(np.full((3, 5), 4.0), "ordinal")
    assert math.isnan(same.alpha)
    assert "the same" in same.why
    apart = agreement(np.array([[1.0, N], [N, 2.0]]), "ordinal")
    assert math.isnan(apart.alpha)
    assert "two raters" in apart.why
    assert apart.units == 0


def test_one_unit_bounds_nothing_below() -> None:
    found = agreement(np.array([[1.0, N], [2.0, 3.0]]), "interval")
    assert found.low == -math.inf
    assert found.high == 1.0


def test_full_agreement_on_few_units_proves_little() -> None:
    few = agreement(np.tile([1.0, 2, 3, 4], (2, 1)), "ordinal")
    many = agreement(np.tile(np.arange(100.0) % 5, (2, 1)), "ordinal")
    assert few.alpha == many.alpha == few.high == 1.0
    assert few.low < 0.5 < 0.95 < many.low < 1.0


def test_texts_of_one_prompt_are_drawn_together() -> None:
    draw = np.random.default_rng(5)
    kind = np.repeat(draw.integers(0, 2, 12), 5)
    # Half of the prompts are agreed on throughout, the others not at all.
    values = np.where(kind, draw.integers(1, 6, 60), draw.integers(1, 6, (3, 60))).astype(float)
    alone = agreement(values, "ordinal")
    grouped = agreement(values, "ordinal", groups=np.repeat(np.arange(12), 5))
    assert grouped.alpha == alone.alpha
    assert grouped.high - grouped.low > 1.2 * (alone.high - alone.low)


def test_numbers_between_scores_are_told_apart() -> None:
    draw = np.random.default_rng(7)
    truth = draw.uniform(1, 5, 80)
    values = truth + 0.2 * draw.normal(size=(2, 80))
    exact = by_definition(values, "interval")
    assert alpha(values, "interval") == pytest.approx(exact, abs=0.01)
