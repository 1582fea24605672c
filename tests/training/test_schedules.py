from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.training.schedules import factor, slanted_triangular, warmup_updates

SCHEDULES = ("constant", "linear", "cosine", "slanted-triangular", "wsd")


def test_linear_falls_evenly_from_one() -> None:
    assert [factor("linear", t, 4, 0) for t in range(4)] == [1.0, 0.75, 0.5, 0.25]


def test_warmup_rises_evenly_and_ends_at_one() -> None:
    expected = [Fraction(1, 4), Fraction(2, 4), Fraction(3, 4), 1, 1, Fraction(3, 4)]
    got = [factor("linear", t, 8, 4) for t in range(6)]
    assert got == pytest.approx([float(x) for x in expected])


def test_cosine_is_half_in_the_middle() -> None:
    assert factor("cosine", 50, 100, 0) == pytest.approx(0.5)
    assert factor("cosine", 25, 100, 0) == pytest.approx((1 + math.sqrt(0.5)) / 2)


def test_slanted_triangular_follows_the_paper() -> None:
    # Howard & Ruder 2018, equation 3, by hand: T = 100, cut_frac = 0.1, ratio = 32, lr_max = 1.
    total, cut_frac, ratio = 100, 0.1, 32
    cut = math.floor(total * cut_frac)
    for t in range(total):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
        expected = (1 + p * (ratio - 1)) / ratio
        assert factor("slanted-triangular", t, total, 0) == pytest.approx(expected, abs=1e-12)
    assert slanted_triangular(cut, total, cut) == 1.0


def test_constant_stays() -> None:
    assert {factor("constant", t, 9, 0) for t in range(9)} == {1.0}


def test_warmup_is_a_share_or_a_number() -> None:
    assert warmup_updates(0.1, 50) == 5
    assert warmup_updates(0.0, 50) == 0
    assert warmup_updates(7, 50) == 7
    assert warmup_updates(70, 50) == 50


@given(st.sampled_from(SCHEDULES), st.integers(1, 500), st.floats(0, 0.99), st.data())
def test_every_factor_lies_in_zero_to_one_and_no_update_is_lost(
    schedule: str, total: int, warmup: float, data: st.DataObject
) -> None:
    t = data.draw(st.integers(0, total - 1))
    assert 0.0 < factor(schedule, t, total, warmup) <= 1.0


def test_wsd_warms_up_stays_and_falls_over_the_last_part() -> None:
    got = [factor("wsd", t, 10, 2, decay=4) for t in range(10)]
    assert got == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    assert got == [factor("wsd", t, 10, 2, decay=0.4) for t in range(10)]


def test_wsd_with_more_warm_up_and_fall_than_updates_still_comes_down() -> None:
    got = [factor("wsd", t, 6, 4, decay=5) for t in range(6)]
    assert got == pytest.approx([0.25, 0.5, 0.75, 1, 1, 0.5])


@given(st.sampled_from(("linear", "cosine", "wsd")), st.integers(1, 300), st.floats(0, 0.99))
def test_a_floor_is_kept_and_changes_nothing_but_the_fall(
    schedule: str, total: int, floor: float
) -> None:
    for t in range(total):
        plain = factor(schedule, t, total, 0)
        assert factor(schedule, t, total, 0, floor=floor) == pytest.approx(
            floor + (1 - floor) * plain
        )
