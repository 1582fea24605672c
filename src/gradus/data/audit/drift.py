"""Whether two splits could have been drawn from the same source: labels and lengths.

Legend: K labels, N and M texts, T tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

DRAWS: Final = 9_999
SMALL: Final = 5.0  # expected count below which the chi-square distribution isn't trusted
_MOST_CELLS: Final = 1 << 20
_EXACT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Drift:
    """One comparison of two samples.

    Attributes:
        effect: how far apart they are, 0 to 1: the total variation distance between label shares
            (the share of texts that would have to change their label), or the greatest distance
            between the distribution functions of lengths.
        p: probability of so great a difference, or a greater one, if both had one source.
        test: which test gave it.
    """

    effect: float
    p: float
    test: str


def label_drift(one: np.ndarray, other: np.ndarray) -> Drift:
    """Pearson's chi-square test of homogeneity on two vectors of counts, int [K] each.

    Where an expected count is below 5, the p-value comes from 9,999 draws with both margins
    fixed (multivariate hypergeometric) in the place of the chi-square distribution, counting the
    observed table among them (Phipson and Smyth 2010). It is undefined, NaN, for an empty sample.
    """
    seen = (one + other) > 0
    one, other = one[seen].astype(np.int64), other[seen].astype(np.int64)
    n, m = int(one.sum()), int(other.sum())
    if not n or not m:
        return Drift(math.nan, math.nan, "none")
    effect = float(np.abs(one / n - other / m).sum() / 2)
    if len(one) < 2:
        return Drift(effect, 1.0, "none: one label")
    both = one + other
    expected = np.stack([both * n, both * m]) / (n + m)
    if expected.min() >= SMALL:
        from scipy.stats import chi2

        statistic = float(((np.stack([one, other]) - expected) ** 2 / expected).sum())
        return Drift(effect, float(chi2.sf(statistic, len(one) - 1)), "chi-square")
    return Drift(effect, _by_draws(one, other), "chi-square, by draws")


def _by_draws(one: np.ndarray, other: np.ndarray) -> float:
    """The p-value under fixed margins; the smaller sample is the one that is drawn."""
    fewer = one if one.sum() <= other.sum() else other
    both, n = one + other, int(fewer.sum())
    expected = both * (n / both.sum())
    # With fixed margins the other row's part of the statistic is a fixed multiple of this one's.
    observed = float(((fewer - expected) ** 2 / expected).sum())
    rng = np.random.default_rng(0)
    reached, step = 0, max(1, _MOST_CELLS // len(both))
    for first in range(0, DRAWS, step):
        size = min(step, DRAWS - first)
        drawn = rng.multivariate_hypergeometric(both, n, size=size, method="marginals")
        statistics = ((drawn - expected) ** 2 / expected).sum(axis=1)
        reached += int(np.count_nonzero(statistics >= observed * (1 - 1e-9)))
    return (reached + 1) / (DRAWS + 1)


def length_drift(one: np.ndarray, other: np.ndarray) -> Drift:
    """The Kolmogorov-Smirnov test on the lengths, int [N] and [M], of two samples of texts.

    Exact for up to 10,000 texts on the longer side, else by its limiting distribution. Lengths
    have ties, which makes the test conservative: fewer false alarms than the level says.
    """
    if not len(one) or not len(other):
        return Drift(math.nan, math.nan, "none")
    from scipy.stats import ks_2samp

    method = "exact" if max(len(one), len(other)) <= _EXACT else "asymp"
    found = ks_2samp(one, other, method=method)
    return Drift(float(found.statistic), float(found.pvalue), "Kolmogorov-Smirnov")


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) corrected p-values, in the order given; NaN stays out of the count."""
    order = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    corrected, greatest = [math.nan] * len(p_values), 0.0
    for rank, (p, i) in enumerate(order):
        greatest = max(greatest, min(1.0, p * (len(order) - rank)))
        corrected[i] = greatest
    return corrected
