"""Qualities and leniencies against hand-made tables and an independent fit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.api import OLS

from gradus.stats.raters import Quality, Scores
from gradus.testing.panels import PanelWorld, coverage, likert


def table(values: np.ndarray) -> Scores:
    """Scores from [R, W, P]; NaN is missing."""
    rater, writer, prompt = (part.ravel() for part in np.indices(values.shape))
    kept = ~np.isnan(values.ravel())
    text = writer * values.shape[2] + prompt
    columns = (part[kept] for part in (values.ravel(), writer, rater, prompt, text))
    return Scores(*columns)


def test_a_writer_doesnt_profit_from_lenient_raters() -> None:
    """Rater 1 gives a point more; only writer 0 was read by both on all prompts."""
    values = np.full((2, 2, 4), np.nan)
    values[0] = 3.0
    values[1, 0] = 4.0
    values[1, 1, 0] = 4.0
    found = Quality(table(values), 2, 2)
    assert found.leniencies == pytest.approx([-0.5, 0.5])
    assert found.values == pytest.approx([3.5, 3.5])
    assert found.adjusted() == pytest.approx(np.full(len(found.scores), 3.5))


def test_the_fit_is_that_of_least_squares() -> None:
    world = PanelWorld(raters=4, prompts=12, missing=0.3)
    scores = likert(world, np.random.default_rng(1))
    found = Quality(scores, 4, 4)
    rater = np.eye(4)[scores.raters][:, :3] - np.eye(4)[scores.raters][:, 3:]
    fitted = OLS(scores.values, np.hstack([np.eye(4)[scores.writers], rater])).fit().params
    assert found.values == pytest.approx(fitted[:4])
    assert found.leniencies == pytest.approx([*fitted[4:], -fitted[4:].sum()])


def test_balanced_its_the_mean_with_students_interval() -> None:
    """One rater: an interval over prompts as any textbook has it."""
    values = np.random.default_rng(2).normal(3, 1, size=(1, 2, 15))
    found = Quality(table(values), 2, 1)
    for writer in range(2):
        told = found.of(writer)
        by_hand = stats.ttest_1samp(values[0, writer], 0).confidence_interval(0.95)
        assert told.value == pytest.approx(values[0, writer].mean())
        assert (told.low, told.high) == pytest.approx((by_hand.low, by_hand.high))
    paired = stats.ttest_rel(values[0, 0], values[0, 1]).confidence_interval(0.95)
    told = found.difference(0, 1)
    assert (told.low, told.high) == pytest.approx((paired.low, paired.high))


def test_leniency_cancels_in_a_difference() -> None:
    draw = np.random.default_rng(3)
    values = np.array([3.0, 3.6])[None, :, None] + 0.3 * draw.normal(size=(3, 2, 20))
    values += np.array([-1.0, 0.0, 1.0])[:, None, None]
    found = Quality(table(values), 2, 3)
    quality, difference = found.of(0), found.difference(1, 0)
    assert quality.high - quality.low > 4
    assert difference.high - difference.low < 0.6
    assert difference.low < 0.6 < difference.high


def test_what_a_rater_is_like() -> None:
    draw = np.random.default_rng(4)
    texts = draw.normal(3, 1, size=(1, 2, 30))
    values = np.concatenate([texts - 0.5, texts + 0.5 + 0.1 * draw.normal(size=texts.shape)])
    values = np.concatenate([values, draw.normal(3, 1, size=texts.shape), np.full_like(texts, 3)])
    found = Quality(table(values), 2, 4)
    severe, lenient, random, bored = (found.rater(i) for i in range(4))
    assert severe.leniency.high < 0 < lenient.leniency.low
    assert severe.consistency > 0.6 > abs(random.consistency)
    assert bored.spread == 0
    assert math.isnan(bored.consistency)
    assert severe.ratings == 60
    total = sum(found.rater(i).leniency.value for i in range(4))
    assert total == pytest.approx(0)


def test_raters_of_their_own_tell_nothing_apart() -> None:
    values = np.full((2, 2, 6), np.nan)
    values[0, 0], values[1, 1] = 2.0, 4.0
    found = Quality(table(values), 2, 2)
    assert not found.linked
    assert found.difference(0, 1).low == -math.inf


def test_a_writer_without_a_score_has_none() -> None:
    values = np.random.default_rng(5).normal(size=(2, 3, 6))
    values[:, 1] = np.nan
    found = Quality(table(values), 3, 2)
    assert math.isnan(found.of(1).value)
    assert math.isfinite(found.of(2).low)


def test_true_scores_are_those_of_a_large_panel() -> None:
    world = PanelWorld(raters=400, prompts=400)
    scores = likert(world, np.random.default_rng(6))
    means = np.bincount(scores.writers, weights=scores.values) / np.bincount(scores.writers)
    assert means == pytest.approx(world.scores(), abs=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("world", [PanelWorld(), PanelWorld(raters=5, prompts=20)])
def test_intervals_hold_the_truth(world: PanelWorld) -> None:
    """A smaller form of bench/panel.py: 150 panels of four writers; its aim is 93 to 97 %."""
    for told in coverage(world, 150, seed=9):
        # Four standard errors of 150 panels, whose intervals are alike.
        assert 0.90 <= told.share <= 0.995, told
