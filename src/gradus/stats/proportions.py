"""Intervals of a proportion, and the bound that a claim about one rests on.

A count is discrete, so no interval of it has a coverage of exactly its level at every share; near 0
and 1, where few counts are likely, it jumps. `shown` is chosen to stay close to the level, `exact`
never to fall below it: the first is for reading, the second for a gate that claims something.
"""

from __future__ import annotations

import math

from scipy import stats

NEAR = 4
"""Successes, or failures, up to which the modified end is taken."""


def wilson(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's (1927) score interval for a proportion; NaN for n = 0."""
    if n == 0:
        return math.nan, math.nan
    z = float(stats.norm.ppf((1 + level) / 2))
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else centre - half
    return low, 1.0 if successes == n else centre + half


def shown(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval as Brown, Cai and DasGupta (2001) modify it near 0 and 1.

    With one to four successes Wilson's lower end is too high, and 95 % intervals of 50 items cover
    as little as 84 %. There the end is the one that the Poisson distribution gives, and at the
    other side alike: the least coverage becomes 93 % (with one to three, up to 50 items two, as in
    the paper, 92 %). Neither number need be whole: `gradus.stats.effective` asks it of shares that
    are worth so many items.
    """
    low, high = wilson(successes, n, level)

    def poisson(count: float) -> float:
        return float(stats.chi2.ppf(1 - level, 2 * count)) / 2 / n

    if 0 < successes <= NEAR:
        low = min(low, poisson(successes))
    if 0 < n - successes <= NEAR:
        high = max(high, 1 - poisson(n - successes))
    return low, high


def exact(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's (1934) interval: each end errs in at most (1 - level) / 2.

    NaN for n = 0.
    """
    if n == 0:
        return math.nan, math.nan
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, successes, n - successes + 1)) if successes else 0.0
    high = float(stats.beta.isf(tail, successes + 1, n - successes)) if successes < n else 1.0
    return low, high


def attainable(share: float, n: int, level: float = 0.95) -> float:
    """The coverage nearest to the level that any interval with rising ends has at this share.

    Which counts' intervals hold a share is a run of counts, first to last, whatever the method;
    the coverage is the run's probability. Runs that hold fewer than the level less 2 points aren't
    considered, so this is the least one can do without falling short.
    """
    import numpy as np

    cumulative = np.concatenate([[0.0], stats.binom.cdf(np.arange(n + 1), n, share)])
    # For every first count, the least last one at which the run holds enough.
    first = np.arange(n + 1)
    last = np.searchsorted(cumulative, cumulative[first] + level - 0.02 - 1e-12)
    found = cumulative[last[last <= n + 1]] - cumulative[first[last <= n + 1]]
    longer = np.minimum(last[last <= n + 1] + 1, n + 1)
    runs = np.concatenate([found, cumulative[longer] - cumulative[first[last <= n + 1]]])
    return float(runs[np.argmin(np.abs(runs - level))])
