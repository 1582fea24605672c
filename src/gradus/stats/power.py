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
NEAR = 500
"""Discordant items beyond which the normal approximation is as good as summing."""
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


def paired_power(
    share_b: float, share_c: float, bound: float, n: int, *, level: float = 0.95
) -> float:
    """Power of the one-sided test that a paired difference of proportions is past `bound`.

    The test of `gradus.stats.paired.proportions`. Sums over the numbers of items that only the
    first and only the second gets right, but for tails beyond seven standard deviations; upwards
    where the true difference is above the bound.
    """
    if share_b - share_c < bound:
        share_b, share_c, bound = share_c, share_b, -bound

    def likely(share: float) -> np.ndarray:
        spread = 7 * math.sqrt(n * share * (1 - share)) + 7
        return np.arange(max(0, int(n * share - spread)), min(n, int(n * share + spread)) + 1)

    b, c = likely(share_b)[:, None], likely(share_c)[None, :]
    left = 1 - share_b
    chance = stats.binom.pmf(b, n, share_b) * stats.binom.pmf(c, n - b, share_c / max(left, 1e-300))
    linear = -(b + c) / n + (2 - (b - c) / n) * bound
    root = np.sqrt(np.maximum(linear**2 + 8 * c / n * bound * (1 - bound), 0))
    # Tango's restricted estimate, for all numbers at once.
    null = np.maximum((root - linear) / 4, max(0.0, -bound))
    variance = np.maximum(2 * null + bound * (1 - bound), 0) / n
    opens = (b - c) / n - bound >= _z(level, POWER)[0] * np.sqrt(variance)
    alone = c[0] <= n
    alone[alone] = -stats.beta.isf(1 - level, c[0] + 1, np.maximum(n - c[0], 1)) >= bound
    return float((chance * np.where(b == 0, opens & alone, opens)).sum())


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
    of Tango's restricted estimate; from there up or down to where the test has the power.
    """
    z_alpha, z_beta = _z(level, power)
    difference = share_b - share_c
    if difference == bound:
        return None
    null = 2 * restricted(share_b, share_c, bound) + bound - bound * bound
    true = share_b + share_c - difference * difference
    root = z_alpha * math.sqrt(max(null, 0.0)) + z_beta * math.sqrt(max(true, 0.0))
    n = _whole((root / (difference - bound)) ** 2)
    if n is None or n * max(share_b, share_c) > NEAR:
        return n

    def enough(items: int) -> bool:
        return paired_power(share_b, share_c, bound, items, level=level) >= power

    while not enough(n) and n < FAR:
        n = math.ceil(n * 1.01) + 1
    while n > 10 and enough(n - n // 100 - 1):
        n -= n // 100 + 1
    return n


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
