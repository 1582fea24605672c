"""Confident learning: which labels are most likely wrong, from out-of-fold probabilities.

After Northcutt, Jiang and Chuang (2021), "Confident Learning: Estimating Uncertainty in Dataset
Labels", Journal of Artificial Intelligence Research 70:

1. Threshold t_j: the mean probability of j over the items whose given label is j. An item is
   confidently of j where its probability of j reaches t_j; of several such j, the most probable.
2. Confident joint C[i, j]: how many items with given label i are confidently of j.
3. Joint Q[i, j] of given and true labels: rows of C, with at least 1 on the diagonal, scaled to how
   many items have each given label, then all of it to sum to 1.
4. Items counted off C's diagonal are the labels that are likely wrong; the sum of Q off its
   diagonal times N says how many there may be. They are ranked by their normalised margin, the
   probability of the given label less that of the likeliest other one: the lowest first.

Probabilities must be of models that weren't trained on the item, else they repeat its label. It
needs one label an item: with any number of labels each would be a question of its own with
thresholds of its own, numbers have no classes, spans no rows of probabilities, replies neither.
What is found is a list for a person to read, never a reason to drop an item unread: a rare kind of
item looks like a fault to a model that has seen few.

Legend: N items, K labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Doubts:
    """What confident learning says of N labels.

    Attributes:
        thresholds: float64 [K]; NaN for a label that no item has.
        confident: int64 [K, K], the confident joint, given label by row.
        joint: float64 [K, K], estimated joint of given and true label; sums to 1.
        rows: int64 [M], the items whose label is likely wrong, the likeliest first.
        suggested: int64 [M], the label that each is confidently of.
        margin: float64 [M], probability of the given label less the likeliest other one, in
            [-1, 1].
        expected: N times what of the joint is off its diagonal: how many labels may be wrong.
    """

    thresholds: np.ndarray
    confident: np.ndarray
    joint: np.ndarray
    rows: np.ndarray
    suggested: np.ndarray
    margin: np.ndarray
    expected: float


def thresholds(probabilities: np.ndarray, given: np.ndarray) -> np.ndarray:
    """float64 [K]: each label's mean probability over the items that have it; NaN for none."""
    count = np.bincount(given, minlength=probabilities.shape[1])
    own = probabilities[np.arange(len(given)), given]
    total = np.bincount(given, weights=own, minlength=probabilities.shape[1])
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)


def doubts(probabilities: np.ndarray, given: np.ndarray) -> Doubts:
    """Which of N given labels are likely wrong.

    Args:
        probabilities: float64 [N, K], out of fold; rows sum to 1.
        given: int64 [N], the labels that the items have.

    Raises:
        ValueError: shapes don't fit, or there is no item or but one label.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    given = np.asarray(given, dtype=np.int64)
    if probabilities.ndim != 2 or len(given) != len(probabilities) or not len(given):
        raise ValueError(f"probabilities {probabilities.shape} don't fit labels {given.shape}")
    n, count = probabilities.shape
    if count < 2:
        raise ValueError("with one label none can be wrong")
    limits = thresholds(probabilities, given)
    # A rounding error must not keep an item below a mean of which it is a part.
    reached = probabilities >= limits - 1e-12  # NaN is never reached
    masked = np.where(reached, probabilities, -np.inf)
    counted = reached.any(axis=1)
    true = masked.argmax(axis=1)
    confident = np.zeros((count, count), dtype=np.int64)
    np.add.at(confident, (given[counted], true[counted]), 1)
    joint = calibrated(confident, np.bincount(given, minlength=count))
    rows = np.flatnonzero(counted & (true != given))
    margin = margins(probabilities[rows], given[rows])
    order = np.lexsort((rows, margin))
    return Doubts(
        thresholds=limits,
        confident=confident,
        joint=joint,
        rows=rows[order],
        suggested=true[rows][order],
        margin=margin[order],
        expected=float(n * (1 - np.trace(joint))),
    )


def calibrated(confident: np.ndarray, given: np.ndarray) -> np.ndarray:
    """float64 [K, K]: the confident joint with the given labels' true counts, scaled to sum to 1.

    Of every label at least one item is taken to be right, as the authors' cleanlab does: else a
    label whose items all look like another would be held for wrong from end to end.
    """
    counts = confident.astype(np.float64)
    np.fill_diagonal(counts, counts.diagonal().clip(min=1.0))
    scaled = counts / counts.sum(axis=1, keepdims=True) * given[:, None]
    return np.asarray(scaled / scaled.sum())


def margins(probabilities: np.ndarray, given: np.ndarray) -> np.ndarray:
    """float64 [N]: the probability of the given label less that of the likeliest other one."""
    rows = np.arange(len(given))
    own = probabilities[rows, given]
    others = probabilities.copy()
    others[rows, given] = -np.inf
    return np.asarray(own - others.max(axis=1)) if len(given) else np.zeros(0)
