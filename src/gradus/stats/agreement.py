"""Krippendorff's alpha: how far raters agree beyond what chance would give.

alpha = 1 - observed / expected disagreement. 1 is full agreement, 0 what raters who don't look at
the text would reach, below 0 systematic disagreement. It takes any number of raters, missing
answers, and values that are names, ranks or numbers (Krippendorff 2004, chapter 11; 2011,
"Computing Krippendorff's Alpha-Reliability"; Hayes and Krippendorff 2007). As rules of thumb he
asks for 0.8, and for 0.667 where tentative conclusions will do.

The packages that compute it well are under the GPL, or know no ordinal data; so this is our own.

The interval resamples units (texts, or groups of them), raters staying the same, and not single
disagreements as Hayes and Krippendorff do, since those of one unit go together (Zapf et al. 2016).
It is taken on the scale log(1 - alpha), where alpha has no upper end, its bias removed.

Legend: R raters, U units, V distinct values, D draws, G groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from gradus.stats.draws import chunks, percentiles, resamples, student

Level = Literal["nominal", "ordinal", "interval"]
DRAWS: Final = 2000
MOST_VALUES: Final = 100
"""Distinct values that are told apart; more are rounded, since tables grow with their square."""
FAR: Final = 50.0
"""As good as infinite, on a logarithmic scale."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Krippendorff's alpha of one question.

    Attributes:
        alpha: 1 - observed / expected disagreement; NaN where it isn't defined.
        low: lower end of the two-sided interval; NaN where alpha is, -inf where nothing bounds it.
        high: upper end.
        units: units that at least two raters judged; the others tell nothing.
        raters: raters who judged one of these.
        pairable: ratings of these units.
        why: why alpha isn't defined; empty where it is.
    """

    alpha: float
    low: float
    high: float
    units: int
    raters: int
    pairable: int
    why: str = ""


def alpha(values: np.ndarray, level: Level) -> float:
    """Krippendorff's alpha of ratings float64 [R, U], NaN where there is none.

    NaN where fewer than two ratings can be paired or none differs from another.
    """
    tables, scale = _tables(values)
    if not len(tables):
        return math.nan
    return float(_ratio(tables.sum(axis=0)[None], _METRICS[level], scale)[0])


def agreement(
    values: np.ndarray,
    level: Level,
    *,
    confidence: float = 0.95,
    groups: np.ndarray | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Agreement:
    """Alpha with its interval.

    Args:
        values: ratings float64 [R, U], NaN where there is none.
        level: what the values are: names, ranks, or numbers.
        confidence: of the two-sided interval.
        groups: int64 [U], units that are drawn together (texts of one prompt); None: each alone.
        draws: resamples.
        seed: of the resamples.
    """
    kept = (~np.isnan(values)).sum(axis=0) >= 2
    tables, scale = _tables(values)
    units, raters = int(kept.sum()), int((~np.isnan(values[:, kept])).any(axis=1).sum())
    pairable = int((~np.isnan(values[:, kept])).sum())

    def told(found: float, low: float, high: float, why: str = "") -> Agreement:
        return Agreement(found, low, high, units, raters, pairable, why)

    if not units:
        return told(math.nan, math.nan, math.nan, "no unit was judged by two raters")
    whole = tables.sum(axis=0)
    found = float(_ratio(whole[None], _METRICS[level], scale)[0])
    if math.isnan(found):
        return told(found, math.nan, math.nan, "all ratings are the same")
    by_group = tables if groups is None else _grouped(tables, groups[kept])
    if len(by_group) < 2:
        return told(found, -math.inf, 1.0)
    if found >= 1.0:
        # No disagreement seen. Were a share s of units rated at random, all n would still agree
        # with probability (1 - s)^n; alpha is then 1 - s.
        return told(found, ((1 - confidence) / 2) ** (1 / len(by_group)), 1.0)
    low, high = _ends(by_group, found, _METRICS[level], scale, confidence, draws, seed)
    return told(found, low, high)


def _tables(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coincidences of each unit with two ratings or more, float64 [U', V, V], and the V values.

    A unit with m ratings adds 1 / (m - 1) for every ordered pair of them.
    """
    known = np.unique(values[~np.isnan(values)])
    if len(known) > MOST_VALUES:
        steps = np.linspace(known[0], known[-1], MOST_VALUES)
        near = np.abs(values[..., None] - steps).argmin(axis=-1)
        values = np.where(np.isnan(values), np.nan, steps[near])
        known = np.unique(values[~np.isnan(values)])
    counts = (values.T[:, :, None] == known).sum(axis=1).astype(np.float64)
    number = counts.sum(axis=1)
    counts, number = counts[number >= 2], number[number >= 2]
    pairs = counts[:, :, None] * counts[:, None, :]
    rows = np.arange(len(known))
    pairs[:, rows, rows] -= counts
    return pairs / (number - 1)[:, None, None], known


def _grouped(tables: np.ndarray, groups: np.ndarray) -> np.ndarray:
    _, place = np.unique(groups, return_inverse=True)
    summed = np.zeros((int(place.max()) + 1, *tables.shape[1:]))
    np.add.at(summed, place, tables)
    return summed


Metric = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Squared differences of values, from how often each occurs [D, V] and the values [V]."""


def _nominal(counts: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 - np.eye(len(scale)))[None]


def _ordinal(counts: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """How many ratings lie between two ranks, half of those at either end among them."""
    place = np.cumsum(counts, axis=1) - counts / 2
    return np.asarray((place[:, :, None] - place[:, None, :]) ** 2)


def _interval(counts: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.asarray((scale[:, None] - scale[None, :]) ** 2)[None]


_METRICS: Final[dict[Level, Metric]] = {
    "nominal": _nominal,
    "ordinal": _ordinal,
    "interval": _interval,
}


def _ratio(tables: np.ndarray, metric: Metric, scale: np.ndarray) -> np.ndarray:
    """Alpha of D coincidence tables [D, V, V]; NaN where all ratings are the same."""
    counts = tables.sum(axis=2)
    number = counts.sum(axis=1)
    apart = metric(counts, scale)
    observed = (tables * apart).sum(axis=(1, 2))
    expected = (counts[:, :, None] * counts[:, None, :] * apart).sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 1.0 - (number - 1) * observed / expected
    return np.asarray(np.where(expected > 0, found, np.nan))


def _ends(
    tables: np.ndarray,
    found: float,
    metric: Metric,
    scale: np.ndarray,
    confidence: float,
    draws: int,
    seed: int,
) -> tuple[float, float]:
    """Percentiles of log(1 - alpha) over resampled tables [G, V, V], about the value found."""
    rng, number, size = np.random.default_rng(seed), len(tables), len(scale)
    flat, parts = tables.reshape(number, -1), []
    for count in chunks(draws, max(number, 4 * size * size)):
        drawn = (resamples(number, count, rng) @ flat).reshape(count, size, size)
        parts.append(_ratio(drawn, metric, scale))
    values = np.concatenate(parts)
    middle = math.log(1 - found)
    with np.errstate(divide="ignore"):
        moved = np.log(1 - values[np.isfinite(values)]) - middle
    usual = moved[np.isfinite(moved)]
    if not len(usual):
        return -math.inf, 1.0
    bias, wider = float(usual.mean()), student(number, confidence)
    # Resamples without a disagreement have no logarithm; they are as far out as any.
    near, far = percentiles(np.maximum(moved, -FAR), confidence)
    low = 1 - math.exp(middle + wider * (far - bias))
    high = 1 - math.exp(middle + wider * (near - bias))
    return min(low, found), max(high, found)
