"""Bayesian bootstrap of items, with pseudo-items for what was too rare to be seen.

Rubin's (1981) bootstrap weights the items by exponential draws. By itself it takes what wasn't seen
for impossible: where every item is right, so is every draw, and the interval is a point. Jeffreys'
prior for a proportion is the same bootstrap with one right and one wrong item of weight Gamma(1/2)
added. Here this is done for each label, so that a rare label's errors count as possible as well: a
draw takes up, for each label with probability 2 / K, an item of that label predicted right, and
likewise one predicted wrong. Together they weigh as much as one or two items, however many labels
there are; a prior of fixed weight for each label would swamp the items.

A pseudo-item has the probabilities of an item that was seen, with another true label; which, is
drawn in proportion to the root of the probability given to that label: between the items where the
model says that errors lie and all items alike.

Legend: N items, D draws, K labels, P pseudo-items.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradus.metrics.base import Predictions
from gradus.metrics.labelsets import LabelSets

CANDIDATES = 256
"""About how many pseudo-items the draws choose from."""

SKEWED = 0.43
"""Shape at which gamma weights of mean and variance 1 have the skewness, 3.06, that makes the
percentiles of a weighted mean second-order correct at 95 %: (z^2 - 1) s / 6 = (2 z^2 + 1) / 6."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Items and pseudo-items, and how to draw weights for them.

    Attributes:
        items: the items, or one for each of their kinds, and the pseudo-items after them.
        counts: float64 [N], how many items each stands for.
        groups: number of groups; pseudo-items stand group by group, equally many in each.
    """

    items: Predictions | LabelSets
    counts: np.ndarray
    groups: int

    def weights(self, draws: int, rng: np.random.Generator, *, skewed: bool = False) -> np.ndarray:
        """float64 [D, N + P]."""
        n = len(self.counts)
        weights = np.zeros((draws, len(self.items)))
        if skewed:
            root = math.sqrt(SKEWED)
            weights[:, :n] = self.counts * (1 - root)
            weights[:, :n] += rng.standard_gamma(SKEWED * self.counts, (draws, n)) / root
        else:
            weights[:, :n] = rng.standard_gamma(self.counts, (draws, n))
        share = min(1.0, 2 / max(self.groups // 2, 1))
        rows, groups = np.nonzero(rng.random((draws, self.groups)) < share)
        each = (len(self.items) - n) // self.groups
        chosen = n + groups * each + rng.integers(0, each, len(groups))
        weights[rows, chosen] = rng.standard_gamma(0.5, len(rows))
        return weights


def pool(
    predictions: Predictions | LabelSets,
    rng: np.random.Generator,
    *,
    kinds: bool = False,
    even: bool = False,
) -> Pool:
    """The items with pseudo-items for each label.

    Args:
        predictions: N items, at least one.
        rng: draws the pseudo-items.
        kinds: hold one item for each pair of true and predicted label; enough where a metric is a
            function of their counts. Not for sets of labels.
        even: pseudo-items lie on the border between two labels, and the parent's probabilities
            differ from theirs as on an item that was seen; for metrics of the difference. Not for
            sets of labels.
    """
    if isinstance(predictions, LabelSets):
        sets = _sets(predictions, rng)
        counts = np.ones(len(predictions))
        return Pool(predictions.joined(sets), counts, 2 * len(predictions.labels))
    made = _made(predictions, rng, even=even)
    counts = np.ones(len(predictions))
    groups = 2 * len(predictions.labels)
    if kinds:
        k = len(predictions.labels)
        _, first, seen = np.unique(
            predictions.gold * k + predictions.predicted, return_index=True, return_counts=True
        )
        predictions, counts = predictions.take(first), seen.astype(np.float64)
    return Pool(predictions.joined(made), counts, groups)


def _made(predictions: Predictions, rng: np.random.Generator, *, even: bool) -> Predictions:
    """Pseudo-items: for each label some predicted wrong, then for each label some right."""
    n, k = len(predictions), len(predictions.labels)
    each = max(2, CANDIDATES // (2 * k))
    gold = np.tile(np.repeat(np.arange(k), each), 2)
    wrong = np.arange(2 * k * each) < k * each
    step = rng.integers(1, k, len(gold)) if k > 1 else np.zeros(len(gold), np.int64)
    predicted = np.where(wrong, (gold + step) % k, gold)
    if predictions.log_probs is None:
        return Predictions(gold, predicted, None, predictions.labels)
    log_probs, parent = predictions.log_probs, predictions.parent_log_probs
    if even and parent is not None:
        return _even(predictions, gold, (gold + step) % k, rng)
    rows = np.zeros(len(gold), np.int64)
    for label in range(k):
        among = np.flatnonzero(predictions.predicted == label)
        among = among if len(among) else np.arange(n)
        mine = np.flatnonzero(predicted == label)
        # Keys of a draw without sorting: the root of the probability of the label it will be.
        for target in np.unique(gold[mine]):
            into = mine[gold[mine] == target]
            chance = np.exp(log_probs[among, target] / 2) + 1e-300
            rows[into] = rng.choice(among, len(into), p=chance / chance.sum())
    swapped = _swap(log_probs[rows], predictions.predicted[rows], predicted)
    beside = None if parent is None else _swap(parent[rows], predictions.predicted[rows], predicted)
    return Predictions(gold, predicted, swapped, predictions.labels, parent_log_probs=beside)


def _sets(sets: LabelSets, rng: np.random.Generator) -> LabelSets:
    """Pseudo-items of sets: for each label some that miss or add it, then some that have it right.

    Each is an item that was seen but for that label.
    """
    k = len(sets.labels)
    each = max(2, CANDIDATES // (2 * k))
    rows, columns = np.zeros(2 * k * each, np.int64), np.tile(np.repeat(np.arange(k), each), 2)
    wrong = np.arange(len(columns)) < k * each
    said = np.exp(np.minimum(sets.log_probs, 0.0))
    for label in range(k):
        own = sets.predicted[:, label]
        # A wrong one in proportion to the root of the other answer's probability.
        chance = np.sqrt(np.where(own, 1 - said[:, label], said[:, label])) + 1e-12
        into = np.flatnonzero(wrong & (columns == label))
        rows[into] = rng.choice(len(sets), len(into), p=chance / chance.sum())
        among = np.flatnonzero(own) if own.any() else np.arange(len(sets))
        into = np.flatnonzero(~wrong & (columns == label))
        rows[into] = rng.choice(among, len(into))
    made, at = sets.take(rows), np.arange(len(rows))
    gold, predicted = made.gold.copy(), made.predicted.copy()
    predicted[at[~wrong], columns[~wrong]] = True
    gold[at, columns] = predicted[at, columns] ^ wrong
    return LabelSets(gold, predicted, made.log_probs, sets.labels)


def _swap(rows: np.ndarray, own: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The rows [P, K] with the columns `own` and `wanted` [P] exchanged."""
    at, found = np.arange(len(rows)), rows.copy()
    found[at, own], found[at, wanted] = rows[at, wanted], rows[at, own]
    return found


def _even(
    predictions: Predictions, gold: np.ndarray, other: np.ndarray, rng: np.random.Generator
) -> Predictions:
    """Items halfway between two labels; the parent's log-odds differ as on items drawn by size."""
    assert predictions.log_probs is not None
    assert predictions.parent_log_probs is not None
    with np.errstate(invalid="ignore"):
        moved = predictions.parent_log_probs - predictions.log_probs
    moved = np.where(np.isfinite(moved), moved, 0.0)
    at, rows = np.arange(len(gold)), np.arange(len(predictions))
    runner = np.argsort(predictions.log_probs, axis=1)[:, -2:] if len(predictions.labels) > 1 else 0
    odds = np.diff(np.take_along_axis(moved, np.asarray(runner), axis=1), axis=1)[:, 0]
    chance = np.abs(odds) + 1e-12
    drawn = odds[rng.choice(rows, len(gold), p=chance / chance.sum())]
    own, parent = (np.full((len(gold), len(predictions.labels)), -np.inf) for _ in range(2))
    own[at, gold] = own[at, other] = math.log(0.5)
    parent[at, gold], parent[at, other] = -np.logaddexp(0, -drawn), -np.logaddexp(0, drawn)
    return Predictions(gold, gold, own, predictions.labels, parent_log_probs=parent)
