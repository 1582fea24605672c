"""Numbers of a masked language model, against sums by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.metrics.gaps import Gaps
from gradus.metrics.masked_accuracy import MaskedAccuracy
from gradus.metrics.masked_loss import MaskedLoss
from gradus.stats.compare_items import disagreements, merit

ROWS = st.lists(
    st.tuples(st.floats(-50, 0), st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=30
)


def made(rows: list[tuple[float, int, int]]) -> Gaps:
    nats, tokens, correct = (np.array(column) for column in zip(*rows, strict=True))
    ids = tuple(f"{number:04x}" for number in range(len(rows)))
    return Gaps(nats.astype(np.float64), tokens, np.minimum(correct, tokens), ids)


@given(ROWS)
def test_they_are_means_over_tokens_not_over_texts(rows: list[tuple[float, int, int]]) -> None:
    items = made(rows)
    total = sum(count for _, count, _ in rows)
    if not total:
        assert math.isnan(MaskedLoss()(items))
        assert math.isnan(MaskedAccuracy()(items))
        return
    loss = math.fsum(-nats for nats, _, _ in rows) / total
    assert MaskedLoss()(items) == pytest.approx(loss, abs=1e-12)
    right = sum(min(correct, count) for _, count, correct in rows)
    assert MaskedAccuracy()(items) == pytest.approx(right / total)


@given(ROWS)
def test_items_come_back_from_their_columns(rows: list[tuple[float, int, int]]) -> None:
    items = made(rows)
    again = Gaps.from_columns(items.to_columns(), (), items.ids)
    for name in ("nats", "tokens", "correct"):
        np.testing.assert_array_equal(getattr(again, name), getattr(items, name))
    assert again.ids == items.ids
    assert items.gold_equals(again).all()
    twice = items.joined(again)
    assert len(twice) == 2 * len(items)
    np.testing.assert_array_equal(twice.take(np.arange(len(items))).nats, items.nats)
    assert items.right().tolist() == (items.correct == items.tokens).tolist()


def test_two_models_disagree_where_one_is_surer() -> None:
    one = made([(-2.0, 2, 1), (-9.0, 3, 0)])
    two = made([(-2.0, 2, 1), (-3.0, 3, 2)])
    np.testing.assert_allclose(merit(one), [math.exp(-1), math.exp(-3)])
    ((row, gap),) = disagreements(one, two, 5)
    assert row == 1
    assert gap == pytest.approx(math.exp(-3) - math.exp(-1))
    assert one.described(1) == ("3 gaps", "0 filled rightly", pytest.approx(math.exp(-3)))
