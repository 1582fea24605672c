"""Intervals of shares that aren't counts of independent items: by their effective number of items.

A share v whose variance is V is as sure as one of v (1 - v) / V independent items, and has the
interval of that many (Korn and Graubard 1998, for clustered samples; Dean and Pagano 2015 compare
such intervals). It needs no resampling, stays within 0 and 1, and keeps its width where no error
was seen, for there the number of items is known from their kind. V is the sum of squares of what
each item moves the value by (the delta method; for AUROC that is DeLong's variance); normal
quantiles are replaced by Student's.

- Precision, recall and F1 of spans: items are spans, clustered in texts.
- AUROC and average precision: worth the harmonic mean of the items on either side, where none
  is out of place.
  Average precision is corrected for its bias. Boyd, Eng and Page (2013) find such intervals to hold
  where bootstraps fall short.

Legend: N items, K labels.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from gradus.metrics.auroc import Auroc
from gradus.metrics.base import Items, Metric, Predictions
from gradus.metrics.labelsets import LabelSets
from gradus.metrics.ranking import RankMetric
from gradus.metrics.spansets import SpanMetric, SpanSets
from gradus.stats import proportions

ALIKE = 0.2
"""Correlation of two spans of one text in being found, as long as no error says otherwise."""

MISPLACED = 0.1
"""What an item out of place costs of an AUROC, of what it would cost of a share."""

FEWEST = 5.0
"""Degrees of freedom that are taken at least; with fewer, no interval is of use."""

BORROWED = 4.0
"""Items' worth that the labels together say of the spread within one."""


def effective_interval(metric: Metric, items: Items, level: float) -> tuple[float, float] | None:
    """Two-sided interval; None for a metric of another kind."""
    if isinstance(metric, SpanMetric) and isinstance(items, SpanSets):
        return _spans(metric, items, level)
    if isinstance(metric, RankMetric) and isinstance(items, Predictions | LabelSets):
        return _ranks(metric, items, level)
    return None


def interval_of(
    share: float,
    variance: float,
    alone: float,
    freedom: float,
    level: float,
    errors: float = 1.0,
) -> tuple[float, float]:
    """The interval of a share with this variance.

    `alone` is the number of independent items that it is worth where no error was seen; it
    counts as much as so many `errors` do.
    """
    alone = max(alone, 1.0)
    tail = (1 + level) / 2
    wider = float((stats.t.ppf(tail, max(freedom, FEWEST)) / stats.norm.ppf(tail)) ** 2)
    number = (share * (1 - share) + errors / alone) / (wider * variance + errors / alone**2)
    return proportions.shown(share * number, number, level)


def _spans(metric: SpanMetric, items: SpanSets, level: float) -> tuple[float, float]:
    hits, trials = metric.by_text(items)
    total, texts = float(trials.sum()), int(np.count_nonzero(trials))
    share = float(hits.sum()) / total
    moves = (hits - share * trials) / total
    variance = float((moves**2).sum()) * texts / max(texts - 1, 1)
    alike = 1 + ALIKE * (float((trials**2).sum()) / total - 1)
    return interval_of(share, variance, total / max(alike, 1.0), texts - 1, level)


def _ranks(
    metric: RankMetric, items: Predictions | LabelSets, level: float
) -> tuple[float, float] | None:
    moved, shares, few, means, within, sizes = np.zeros(len(items)), [], [], [], [], []
    columns, ones = metric.columns(items), np.ones((len(items), 1))
    for scores, positive in columns:
        value = float(metric.of_scores(scores, positive, ones)[0])
        if math.isnan(value):
            continue
        moves, bias = metric.moves(scores, positive)
        size = int(positive.sum())
        other = len(positive) - size
        if len(columns) == 1:
            # Both sides' variances with one less below.
            grow = [size / max(size - 1, 1), other / max(other - 1, 1)]
            moves = moves * np.sqrt(np.where(positive, *grow))
        moved += moves
        own = moves[positive]
        shares.append(value - bias)
        few.append(max(1, min(size, other)))
        means.append(2 * size * other / (size + other))
        within.append(float(((own - own.mean()) ** 2).sum()) * size**2)
        sizes.append(size)
    if not shares:
        return None
    count, each = len(shares), 1 / np.array(few, float)
    area = isinstance(metric, Auroc)
    variance = float((moved**2).sum()) / count**2
    alone, freedom = float(max(means[0], 1.0)), few[0] - 1.0
    if len(columns) > 1:
        variance += _unseen(np.array(within), np.array(sizes, float), shares, len(columns))
        # An error concerns two labels, so that they know half as much as they would one by one.
        alone = count**2 / float((1 / np.maximum(means, 1)).sum()) / 2
        known = np.maximum(1 / each - 1 + BORROWED * area, 1)
        freedom = float(each.sum()) ** 2 / float((each**2 / known).sum()) / 2
    share = float(np.clip(np.mean(shares), 0, 1))
    if area:
        # An item out of place costs half of its share at most on average, and mostly far less.
        return interval_of(share, variance, 2 * alone, freedom, level, errors=MISPLACED)
    # Few positive items seldom show the tails of what moves a precision: n / (n - z), as
    # Bonett (2006) has it for standard deviations, and at most half as much again.
    typical = count / float((1 / np.array(sizes)).sum())
    z = float(stats.norm.ppf((1 + level) / 2))
    variance *= typical / max(typical - z, typical / 1.5)
    return interval_of(share, variance, alone, freedom, level)


def _unseen(within: np.ndarray, sizes: np.ndarray, shares: list[float], labels: int) -> float:
    """What the variance of the mean lacks, being taken from items that were seen.

    A label with few positive items shows less of their spread than there is, one with none nothing.
    So each label's spread is moderated by that of all (as Smyth 2004 does for genes), and labels
    that weren't seen are as far from the mean as the others.
    """
    count, missing = len(shares), 0.0
    if count > 1:
        missing = (1 - count / labels) * float(np.var(shares, ddof=1)) / count
    free = np.maximum(sizes - 1, 0)
    if not free.sum():
        return missing
    common = within.sum() / free.sum()
    moderated = (within + BORROWED * common) / (free + BORROWED)
    lacking = float((moderated / sizes - within / sizes**2).sum()) / count**2
    # The same items are others' negatives: with two labels all of it counts double in the mean.
    return missing + max(0.0, lacking) * (count / max(count - 1, 1)) ** 2
