"""Differences over folds: the corrected resampled t-test, and the naive one that it corrects.

Folds share most of their training items, so J differences d_1 ... d_J aren't independent, and their
variance over J, as the ordinary paired t-test has it, is too small. Nadeau and Bengio (2003,
"Inference for the Generalization Error", Machine Learning 52) take the correlation for n2 / (n1 +
n2), with n1 items trained on and n2 held out, which makes of 1 / J the factor 1 / J + n2 / n1:

    t = mean(d) / sqrt((1 / J + n2 / n1) var(d)),    J - 1 degrees of freedom.

It was derived for random subsamples; for repeated k-fold cross-validation, J = r k, Bouckaert and
Frank (2004, "Evaluating the Replicability of Significance Tests for Comparing Learning
Algorithms") found it the test to use. What it is and isn't:

- It speaks of the two ways of training on data like these, not of two checkpoints.
- The correlation is assumed, not estimated: no unbiased estimator of the variance of k-fold
  cross-validation exists (Bengio and Grandvalet 2004). The test is as right as the assumption.
- A single k-fold partition makes it conservative: five folds of a stable learner gave false alarms
  in about 2 % where 5 were allowed, since items held out in different folds are independent after
  all. Several repeats bring it near its level (3.3 to 5.7 % were seen), where the naive test errs
  more with each of them.
- It is liberal where differences go together more than assumed, as with learners that a few items
  can turn: with the nearest neighbour false alarms were 7 to 9 %, with a single split 9 to 12 %
  (the naive test: 50 %). `bench/crossval.py` prints false alarms for settings of each kind.

Legend: J differences, one a fold of each repeat; a seed's are averaged before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, slots=True)
class Resampled:
    """A mean over folds, or a mean difference, with its interval and two-sided p-value.

    Attributes:
        value: the mean.
        low: end of the two-sided interval at `level`; minus infinity where J is below 2.
        high: the other end.
        p_value: two-sided, that the truth is 0; NaN where J is below 2.
        count: J.
        factor: what the variance was multiplied with.
        level: of the interval.
        method: in words.
    """

    value: float
    low: float
    high: float
    p_value: float
    count: int
    factor: float
    level: float
    method: str


def corrected(
    differences: Sequence[float] | np.ndarray,
    *,
    trained: float,
    held: float,
    level: float = 0.95,
) -> Resampled:
    """The corrected resampled t-test of J differences (or values; the interval is then theirs).

    Args:
        differences: J numbers, one a fold.
        trained: n1, items that each fold was trained on, on average.
        held: n2, items that each fold was tested on, on average.
        level: of the two-sided interval.

    Raises:
        ValueError: `trained` isn't positive.
    """
    if trained <= 0:
        raise ValueError(f"n1 is {trained}: a fold must have been trained on something")
    count = len(differences)
    factor = (1 / count if count else math.nan) + held / trained
    return _test(differences, factor, level, "corrected resampled t-test")


def naive(differences: Sequence[float] | np.ndarray, *, level: float = 0.95) -> Resampled:
    """The ordinary paired t-test, which takes folds for independent; shown beside the other."""
    count = len(differences)
    return _test(differences, 1 / count if count else math.nan, level, "paired t-test")


def _test(
    differences: Sequence[float] | np.ndarray, factor: float, level: float, method: str
) -> Resampled:
    found = np.asarray(differences, dtype=np.float64)
    count = len(found)
    value = float(found.mean()) if count else math.nan
    if count < 2 or not math.isfinite(value):
        return Resampled(value, -math.inf, math.inf, math.nan, count, factor, level, method)
    error = math.sqrt(factor * float(found.var(ddof=1)))
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * error
    if error > 0:
        p_value = float(2 * stats.t.sf(abs(value) / error, count - 1))
    else:
        # All folds alike: no spread to test against, so equality is kept and anything else is sure.
        p_value = 1.0 if value == 0 else 0.0
    return Resampled(value, value - half, value + half, p_value, count, factor, level, method)
