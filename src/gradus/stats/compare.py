"""Several models on the same items: every pair's difference, tested, with Holm's correction.

Two-sided throughout, since nobody said beforehand which model would be the better one. Of a
proportion the exact McNemar test gives the p-value and Tango's score interval the interval; of any
other metric the paired bootstrap gives both, where the p-value is the larger of the bootstrap's and
of the swap test's, as the interval is the longer of the two methods' (see `gradus.stats.paired`).

The family that Holm's (1979) correction covers are the pairs compared by one metric. A difference
is called significant where its corrected p-value is at most alpha = 1 - `level` and its own
interval excludes zero; intervals are not corrected.

Perplexities are held against one another by their ratio: tests, what is detectable and what is
needed rest on the difference of their logarithms, which one improbable item can't drown.

Legend: N shared items, D draws, M pairs of the family; b items that only the first gets right, c
items that only the second gets right.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from gradus.metrics.base import Items, Metric
from gradus.metrics.ratios import Perplexity
from gradus.metrics.repeated import Repeated, Seen, one_of, value
from gradus.stats import paired, power
from gradus.stats import seeds as two_level
from gradus.stats.draws import Units
from gradus.stats.intervals import chunks, draw_values

ROUNDING = 1e-12
"""Differences that are nearer to one another than this are equal."""


class Logged(Metric):
    """The logarithm of a metric whose values are above 0."""

    def __init__(self, of: Metric) -> None:
        """`of` is the metric."""
        super().__init__(of.label)
        self.of = of

    def __call__(self, observed: Any) -> float:
        """The logarithm of the value; NaN where that is undefined."""
        value = self.of(observed)
        return math.log(value) if value > 0 else math.nan

    def weighted(self, predictions: Any, weights: np.ndarray) -> np.ndarray | None:
        """As `Metric.weighted`."""
        found = self.of.weighted(predictions, weights)
        return None if found is None else np.asarray(np.log(found))


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two models' items, laid side by side: row i of both is the same item."""

    first: str
    second: str
    one: Seen
    two: Seen


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of two models on N shared items.

    Attributes:
        first, second: the models' names.
        n: N.
        first_value, second_value: the metric of each on these items.
        difference: first minus second.
        low, high: its two-sided interval; infinite where the items bound nothing.
        method: how the interval was found.
        test: what the p-value comes from.
        p_value: two-sided, by itself; None where several seeds are compared.
        p_holm: the same after Holm's correction over the family.
        only_first, only_second: b and c, for proportions.
        detectable: the least true difference that N items would show with a power of 0.8, were the
            items as varied as these are and the correction the strictest of the family; None where
            no difference would be shown.
        n_needed: items that would show the difference seen, likewise; None where it is significant
            or no number of items would.
        significant: None where it can't be told, as on a single item.
    """

    first: str
    second: str
    n: int
    first_value: float
    second_value: float
    difference: float
    low: float
    high: float
    method: str
    test: str
    p_value: float | None = None
    p_holm: float | None = None
    only_first: int | None = None
    only_second: int | None = None
    detectable: float | None = None
    n_needed: int | None = None
    significant: bool | None = None


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) step-down p-values, in the order given: at most 1, never below their own."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    found, least = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        found[index] = least
    return found


def compare(
    metric: Metric,
    pairings: Sequence[Pairing],
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> list[Difference | None]:
    """Every pair's difference in `metric`, None where a value of the two is undefined.

    The pairs whose difference is defined are the family of Holm's correction.
    """
    defined = [
        math.isfinite(value(metric, p.one)) and math.isfinite(value(metric, p.two)) and len(p.one)
        for p in pairings
    ]
    family = sum(map(bool, defined))
    settings = {"level": level, "draws": draws, "seed": seed, "family": family}
    found = [
        _difference(metric, pairing, **settings) if there else None  # type: ignore[arg-type]  # by name
        for pairing, there in zip(pairings, defined, strict=True)
    ]
    tested = [d.p_value for d in found if d is not None and d.p_value is not None]
    corrected = iter(holm(tested))
    return [
        _corrected(d, next(corrected), 1 - level) if d is not None and d.p_value is not None else d
        for d in found
    ]


def _corrected(found: Difference, p_holm: float, alpha: float) -> Difference:
    bounded = math.isfinite(found.low) or math.isfinite(found.high)
    clear = found.low > 0 or found.high < 0
    significant = p_holm <= alpha and clear if bounded else None
    return dataclasses.replace(
        found,
        p_holm=p_holm,
        significant=significant,
        n_needed=None if significant else found.n_needed,
    )


def _difference(
    metric: Metric, pairing: Pairing, *, level: float, draws: int, seed: int, family: int
) -> Difference:
    if isinstance(pairing.one, Repeated) or isinstance(pairing.two, Repeated):
        return _of_seeds(metric, pairing, level, draws, seed, family)
    first, second = one_of(pairing.one), one_of(pairing.two)
    alpha = 1 - level
    each, strictest = 1 - alpha / 2, 1 - alpha / (2 * family)
    common = {
        "first": pairing.first,
        "second": pairing.second,
        "n": len(first),
        "first_value": metric(first),
        "second_value": metric(second),
    }
    shares = successes(metric, first, second)
    if shares is None:
        found = paired.bootstrap(metric, first, second, level=each, draws=draws, seed=seed)
        logged = isinstance(metric, Perplexity)
        tested = Logged(metric) if logged else metric
        apart = (
            paired.bootstrap(tested, first, second, level=each, draws=draws, seed=seed)
            if logged
            else found
        )
        # What bounds the difference at the strictest level, by the normal distribution.
        stretch = float(stats.norm.ppf(strictest) / stats.norm.ppf(each))
        half = (apart.high - apart.low) / 2 * stretch
        least = detectable_mean(half, level=strictest)
        if logged and least is not None:
            least = metric(second) * math.expm1(least)
        return Difference(
            **common,  # type: ignore[arg-type]  # fields by name
            difference=found.value,
            low=found.low,
            high=found.high,
            method=found.method,
            test="paired bootstrap of logarithms" if logged else "paired bootstrap",
            p_value=bootstrap_p(tested, first, second, draws=draws, seed=seed),
            detectable=least,
            n_needed=power.for_bootstrap(apart.value, half, len(first), level=strictest),
        )
    one, two = shares
    b, c = int((one & ~two).sum()), int((~one & two).sum())
    found = paired.proportions(one, two, each)
    needed = power.for_mcnemar(b / len(one), c / len(one), level=strictest)
    return Difference(
        **common,  # type: ignore[arg-type]  # fields by name
        difference=found.value,
        low=found.low,
        high=found.high,
        method=found.method,
        test="exact McNemar",
        p_value=mcnemar_p(b, c),
        only_first=b,
        only_second=c,
        detectable=detectable_share((b + c) / len(one), len(one), level=strictest),
        # The proportion may be over a subset; what is asked for are items of the whole.
        n_needed=None if needed is None else math.ceil(needed * len(first) / len(one)),
    )


def _of_seeds(
    metric: Metric, pairing: Pairing, level: float, draws: int, seed: int, family: int
) -> Difference:
    """Several seeds: no p-value, so Bonferroni's interval at the family's level decides."""
    settings = {"draws": draws, "seed": seed}
    alpha = 1 - level

    def bounds(each: float) -> paired.Comparison:
        return two_level.difference(metric, pairing.one, pairing.two, level=each, **settings)

    found, strict = bounds(1 - alpha / 2), bounds(1 - alpha / (2 * family))
    bounded = math.isfinite(strict.low) or math.isfinite(strict.high)
    return Difference(
        first=pairing.first,
        second=pairing.second,
        n=len(pairing.one),
        first_value=value(metric, pairing.one),
        second_value=value(metric, pairing.two),
        difference=found.value,
        low=found.low,
        high=found.high,
        method=found.method,
        test="two-level bootstrap, Bonferroni",
        significant=(strict.low > 0 or strict.high < 0) if bounded else None,
    )


def successes(metric: Metric, first: Items, second: Items) -> tuple[np.ndarray, np.ndarray] | None:
    """Which items each side gets right, bool [N] each; None where McNemar's test doesn't apply.

    It applies to proportions of the same items, as accuracy; not to precision, whose items are
    each side's own, and not to what merely rises with a proportion, as F1.
    """
    if metric.interval != "wilson" or not metric.paired or metric.of_share(0.5) != 0.5:
        return None
    one, two = metric.successes(first), metric.successes(second)
    if one is None or two is None or len(one) != len(two) or not len(one):
        return None
    return one, two


def mcnemar_p(b: int, c: int) -> float:
    """Two-sided p-value of McNemar's exact test: twice the smaller tail, at most 1."""
    return min(1.0, 2 * min(paired.mcnemar(b, c), paired.mcnemar(c, b)))


def bootstrap_p(
    metric: Metric, first: Items, second: Items, *, draws: int = 2000, seed: int = 0
) -> float:
    """Two-sided p-value of a difference: the larger of the paired bootstrap's and the swap test's.

    The bootstrap's is the share of resamples whose difference lies at least as far from the one
    seen as zero does (Efron and Tibshirani 1993, 16.4); the swap test's, that of exchanges of the
    two models item by item with a difference at least as large (Noreen 1989). One is added to
    both counts, so that no p-value is below 1 / (D + 1). 1 where fewer than two items are shared.
    Items that belong together (`Items.groups`) are drawn and exchanged together.
    """
    units, rng = Units.of(first, second), np.random.default_rng(seed)
    seen = metric(first) - metric(second)
    if units.count < 2 or not math.isfinite(seen):
        return 1.0
    both = first.joined(second)
    shifted: list[np.ndarray] = []
    swapped: list[np.ndarray] = []
    for size in chunks(draws, len(both)):
        drawn = units.resamples(size, rng)
        one_of, two_of = units.weights(drawn, 0), units.weights(drawn, 1)
        shifted.append(
            draw_values(metric, first, one_of) - draw_values(metric, second, two_of) - seen
        )
        swap = rng.integers(0, 2, (size, units.count)).astype(np.float64)
        left, right = units.exchanged(swap)
        swapped.append(draw_values(metric, both, left) - draw_values(metric, both, right))
    return max(_beyond(np.concatenate(of), abs(seen)) for of in (shifted, swapped))


def _beyond(values: np.ndarray, distance: float) -> float:
    """Share of the defined draws at least that far from zero, one added above and below."""
    values = values[np.isfinite(values)]
    far = np.count_nonzero(np.abs(values) >= distance - ROUNDING)
    return float((far + 1) / (len(values) + 1))


def detectable_share(
    discordant: float, n: int, *, level: float, chance: float = power.POWER
) -> float | None:
    """The least difference of paired proportions that McNemar's test shows with power `chance`.

    Were a share `discordant` of the items right on one side only, as seen, b and c would have to
    differ by so much. A difference larger than that share takes more discordant items, all of
    them on the better side. `level` is that of the one-sided test: 1 - alpha / 2 for a two-sided
    one. None where even a difference of 1 wouldn't show.
    """

    def shown(difference: float) -> bool:
        b = max((discordant + difference) / 2, difference)
        c = max((discordant - difference) / 2, 0.0)
        return power.mcnemar_power(b, c, n, level=level) >= chance

    if n == 0 or not shown(1.0):
        return None
    low, high = 0.0, 1.0
    while high - low > 1e-5:
        middle = (low + high) / 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high


def detectable_mean(
    half_width: float, *, level: float, chance: float = power.POWER
) -> float | None:
    """The least difference that is told from zero with power `chance`, by the normal distribution.

    `half_width` is the distance from the difference to its one-sided bound at `level`. None where
    that is infinite or zero.
    """
    if not math.isfinite(half_width) or half_width <= 0:
        return None
    z_alpha, z_beta = stats.norm.ppf([level, chance])
    return float((z_alpha + z_beta) / z_alpha * half_width)
