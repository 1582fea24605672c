"""The items on which two models disagree most."""

from __future__ import annotations

import numpy as np
import pytest

from gradus.metrics.base import Items, Predictions
from gradus.metrics.labelsets import LabelSets
from gradus.metrics.numbers import Numbers
from gradus.metrics.options import Options
from gradus.metrics.outcomes import Outcomes
from gradus.metrics.replies import Replies
from gradus.metrics.spansets import SpanSets
from gradus.metrics.texts import Texts
from gradus.records import Span
from gradus.stats.compare_items import UNITS, disagreements, merit

HALF = np.log([[0.5, 0.5], [0.25, 0.75]])
FOUR = np.array([4, 4])
GOLD, LABELS = np.array([0, 1]), ("a", "b")
SPAN, OTHER = Span(0, 2, "x"), Span(3, 5, "x")


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (Predictions(GOLD, GOLD, HALF, LABELS), [0.5, 0.75]),
        (Predictions(GOLD, np.array([1, 1]), None, LABELS), [0.0, 1.0]),
        (
            LabelSets(np.array([[True, False], [False, False]]), HALF > -1, HALF, LABELS),
            [0.5, 0.5],
        ),
        (Numbers(np.array([1.0, 2.0]), np.array([1.5, 0.0])), [-0.5, -2.0]),
        (
            SpanSets.of([(SPAN, OTHER), ()], [(SPAN,), ()], ["x"]),
            [2 / 3, 1.0],
        ),
        (Texts(np.array([-3.0, -1.5]), FOUR, FOUR, FOUR, FOUR), [-3.0, -1.5]),
        (
            Options.of(
                [0, 1],
                [np.log([0.2, 0.2, 0.6]).tolist(), np.log([0.1, 0.3]).tolist()],
                [[1, 1, 1], [1, 1]],
            ),
            [0.2, 0.75],
        ),
        (Replies(("yes ", "no way"), (("yes",), ("yes", "no"))), [1.0, 2 / 3]),
        (
            Outcomes(
                ("loss", "f1"),
                ("mean", "other"),
                (True, False),
                np.array([[2.0, 9], [3.0, 9]]),
                (("", ""), ("", "")),
                ("", ""),
                ("", ""),
            ),
            [-2.0, -3.0],
        ),
    ],
    ids=lambda value: value.target if isinstance(value, Items) else None,
)
def test_how_well_an_item_is_done(items: Items, expected: list[float]) -> None:
    assert merit(items) == pytest.approx(np.array(expected))
    assert items.target in UNITS


def test_the_largest_differences_come_first_and_ties_in_order() -> None:
    one = Numbers(np.zeros(5), np.array([0.0, 1.0, 3.0, 1.0, 2.0]))
    two = Numbers(np.zeros(5), np.array([0.0, 2.0, 0.0, 0.0, 3.0]))
    assert disagreements(one, two, 3) == [(2, -3.0), (1, 1.0), (3, -1.0)]
    assert disagreements(one, two, 10)[-1] == (4, 1.0)
    assert disagreements(one, one, 10) == []
