"""How many items would decide: the n at which a test, were the observed rates the true ones, would
come out with the asked power (0.8) at the one-sided alpha = 1 - level.

Such a number is a plan for the next look, not a property of the data seen: it takes the observed
difference at its word, and an observed difference near the bound gives a very large n. None where
no number of items would decide.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from gradus.stats.paired import restricted

POWER = 0.8
LARGEST = 10**9
FAR = 1_000_000
"""Items beyond which an exact test and its approximation agree to less than a percent."""


def _z(level: float, power: float) -> tuple[float, float]:
    return float(stats.norm.ppf(level)), float(stats.norm.ppf(power))


def _whole(n: float) -> int | None:
    return max(1, math.ceil(n)) if math.isfinite(n) and n <= LARGEST else None


def proportion_power(share: float, bound: float, n: int, *, level: float = 0.95) -> float:
    """Power of the exact one-sided test that a proportion, truly `share`, is past `bound`.

    The test of Clopper and Pearson's one-sided bound; upwards where the share is above the bound.
    """
    if share < bound:
        share, bound = 1 - share, 1 - bound
    alpha = 1 - level
    # The least count whose chance, at the bound, is at most alpha.
    critical = int(stats.binom.isf(alpha, n, bound)) + 1
    return float(stats.binom.sf(critical - 1, n, share))


def for_proportion(
    share: float, bound: float, *, level: float = 0.95, power: float = POWER
) -> int | None:
    """Items at which the exact one-sided bound passes `bound`, the true share being `share`.

    Fleiss, Levin and Paik (2003), 2.5: variance at the bound for alpha, at the share for power;
    raised until the exact test, which is conservative, has the power.
    """
    z_alpha, z_beta = _z(level, power)
    if share == bound:
        return None
    root = z_alpha * math.sqrt(bound * (1 - bound)) + z_beta * math.sqrt(share * (1 - share))
    n = _whole((root / (share - bound)) ** 2)
    if n is None:
        return None
    while n < FAR and proportion_power(share, bound, n, level=level) < power:
        n = math.ceil(n * 1.02) + 1
    return n


def for_paired(
    share_b: float,
    share_c: float,
    bound: float = 0.0,
    *,
    level: float = 0.95,
    power: float = POWER,
) -> int | None:
    """Items at which a paired difference of proportions is told from `bound`, either way.

    `share_b` and `share_c` are the true shares of items that only the first, only the second gets
    right. Connor (1987) for bound 0; otherwise Nam (1997), whose variance under the null is that
    of Tango's restricted estimate.
    """
    z_alpha, z_beta = _z(level, power)
    difference = share_b - share_c
    if difference == bound:
        return None
    null = 2 * restricted(share_b, share_c, bound) + bound - bound * bound
    true = share_b + share_c - difference * difference
    root = z_alpha * math.sqrt(max(null, 0.0)) + z_beta * math.sqrt(max(true, 0.0))
    return _whole((root / (difference - bound)) ** 2)


def mcnemar_power(share_b: float, share_c: float, n: int, *, level: float = 0.95) -> float:
    """Power of the exact one-sided McNemar test for `share_b` > `share_c` on n items.

    Sums over the number of discordant items, which is binomial; no approximation but the tails
    beyond ten standard deviations.
    """
    discordant = share_b + share_c
    if discordant <= 0:
        return 0.0
    middle, spread = n * discordant, 10 * math.sqrt(n * discordant * (1 - discordant)) + 10
    m = np.arange(max(0, int(middle - spread)), min(n, int(middle + spread)) + 1)
    critical = stats.binom.isf(1 - level, m, 0.5) + 1
    hits = stats.binom.sf(critical - 1, m, share_b / discordant)
    return float((stats.binom.pmf(m, n, discordant) * hits).sum())


def for_mcnemar(
    share_b: float, share_c: float, *, level: float = 0.95, power: float = POWER
) -> int | None:
    """Items at which the exact McNemar test tells which of the two is better.

    Connor's (1987) number, raised until the exact test, which is conservative, has the power.
    """
    n = for_paired(share_b, share_c, level=level, power=power)
    if n is None:
        return None
    better, worse = max(share_b, share_c), min(share_b, share_c)
    while n < FAR and mcnemar_power(better, worse, n, level=level) < power:
        n = math.ceil(n * 1.02) + 1
    return n


def for_bootstrap(
    distance: float, half_width: float, n: int, *, level: float = 0.95, power: float = POWER
) -> int | None:
    """Items at which an estimate `distance` away from its bound is told from it.

    `half_width` is the distance from the estimate to its one-sided bound on n items, which shrinks
    with the square root of n.
    """
    z_alpha, z_beta = _z(level, power)
    if distance == 0 or not math.isfinite(half_width):
        return None
    return _whole(n * ((z_alpha + z_beta) / z_alpha * half_width / distance) ** 2)
