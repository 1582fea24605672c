"""How a metric changes with size, shots or training tokens: a power law, where the points allow.

y = c + a x^-b with b > 0: what is left at infinite x, how much there is to gain, how fast it is
gained (Hestness et al. 2017; Kaplan et al. 2020). For every b the best c and a are those of linear
least squares, so the fit is a search over b (Golub and Pereyra 1973), from which scipy's
`curve_fit` goes on; c stays within what the metric can be.

Intervals are percentiles over resamples of the items, one resample for all points. They know how
far these items may mislead, and nothing of what other seeds or other models of the same size would
have given.

Legend: P points, D draws, G values of b that are tried.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

from gradus.metrics.base import Items, Metric
from gradus.stats.intervals import chunks, draw_values, percentiles, resamples

LEAST_POINTS: Final = 4
"""Distinct x; a law of three numbers goes through any three points."""
EXPONENTS: Final = (0.01, 10.0)
"""Below, a power law looks like a logarithm; above, like a step."""
GRID: Final = 241


@dataclass(frozen=True, slots=True)
class Predicted:
    """The law's value at one x, and its two-sided interval.

    `gain` is how much more that is than the law's value at the x `since` of `fit`, with its own
    interval: narrower than the two values' tell, since both come from one law. NaN without `since`.
    """

    x: float
    value: float
    low: float
    high: float
    gain: float = math.nan
    gain_low: float = math.nan
    gain_high: float = math.nan


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """y = limit + factor x^-exponent, as fitted.

    Attributes:
        limit, factor, exponent: c, a and b.
        exponent_low, exponent_high: two-sided interval of b.
        explained: share of the values' variance that the law explains.
        points: how many it was fitted to.
        predictions: its value wherever it was asked for.
    """

    limit: float
    factor: float
    exponent: float
    exponent_low: float
    exponent_high: float
    explained: float
    points: int
    predictions: tuple[Predicted, ...]

    def __call__(self, x: float) -> float:
        """y at `x` > 0."""
        return float(self.limit + self.factor * x**-self.exponent)


def draws_of(
    metric: Metric, items: Sequence[Items], *, draws: int = 1000, seed: int = 0
) -> np.ndarray:
    """float64 [D, P], the metric of P models on the same resamples of their N aligned items."""
    rng, n = np.random.default_rng(seed), len(items[0])
    parts = []
    for size in chunks(draws, n):
        weights = resamples(n, size, rng)
        parts.append(np.stack([draw_values(metric, one, weights) for one in items], axis=1))
    return np.concatenate(parts)


def obstacle(x: Sequence[float], y: Sequence[float]) -> str | None:
    """Why no power law can be fitted to these points; None where one can."""
    distinct = len({value for value in x if value > 0})
    if distinct < LEAST_POINTS:
        left_out = " (x = 0 has no power)" if any(value <= 0 for value in x) else ""
        return (
            f"{distinct} distinct x{left_out}: a power law has three numbers, so it needs "
            f"{LEAST_POINTS} or more"
        )
    kept = [value for at, value in zip(x, y, strict=True) if at > 0]
    if max(kept) - min(kept) <= 1e-9 * max(1.0, *map(abs, kept)):
        return "the value is the same at every x"
    return None


def fit(
    x: Sequence[float],
    y: Sequence[float],
    resampled: np.ndarray,
    *,
    within: tuple[float, float] = (-math.inf, math.inf),
    at: Sequence[float] = (),
    since: float | None = None,
    level: float = 0.95,
) -> PowerLaw | str:
    """The power law through P points, or in words why there is none.

    Args:
        x: P numbers; points at 0 are left out.
        y: the metric's value at each.
        resampled: float64 [D, P], the same on resamples; their spread weighs the points.
        within: what the metric, and so c, can be.
        at: where to predict, each above 0.
        since: what predictions' gains are over, above 0.
        level: of the intervals.
    """
    why = obstacle(x, y)
    if why is not None:
        return why
    there = np.array([value > 0 for value in x])
    xs, ys = np.asarray(x, np.float64)[there], np.asarray(y, np.float64)[there]
    sampled = resampled[:, there]
    sampled = sampled[np.isfinite(sampled).all(axis=1)]
    if len(sampled) < 2:
        return "the value is undefined on nearly every resample"
    middle = math.exp(float(np.log(xs).mean()))
    z, sd = xs / middle, sampled.std(axis=0)
    sd = np.maximum(sd, 0.1 * sd.max()) if sd.max() > 0 else np.ones(len(xs))
    c, a, b = (float(part[0]) for part in _search(z, ys[None, :], sd, within))
    low, high = EXPONENTS
    if b <= low * 1.01:
        return "the values change like the logarithm of x, without a limit in sight"
    if b >= high / 1.01:
        return "the values change between two neighbouring x and nowhere else"
    c, a, b = _polished(z, ys, sd, (c, a, b), within)
    drawn = _search(z, sampled, sd, within)
    exponent_low, exponent_high = percentiles(drawn[2], level)
    residual = float(((ys - c - a * z**-b) ** 2).sum())
    start = None if since is None else since / middle
    told = [_told(float(x), x / middle, start, (c, a, b), drawn, level) for x in at]
    return PowerLaw(
        limit=c,
        factor=a * middle**b,
        exponent=b,
        exponent_low=exponent_low,
        exponent_high=exponent_high,
        explained=1 - residual / float(((ys - ys.mean()) ** 2).sum()),
        points=len(xs),
        predictions=tuple(told),
    )


def _told(
    x: float,
    z: float,
    start: float | None,
    law: tuple[float, float, float],
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray],
    level: float,
) -> Predicted:
    """What a law and those of the resamples say of `x`, which is `z` on the fit's own scale."""
    (c, a, b), (cs, as_, bs) = law, drawn
    value = (x, c + a * z**-b, *percentiles(cs + as_ * z**-bs, level))
    if start is None:
        return Predicted(*value)
    gains = as_ * (z**-bs - start**-bs)
    return Predicted(*value, a * (z**-b - start**-b), *percentiles(gains, level))


def _law(z: np.ndarray, c: float, a: float, b: float) -> np.ndarray:
    return np.asarray(c + a * z**-b)


def _search(
    z: np.ndarray, y: np.ndarray, sd: np.ndarray, within: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """c, a and b [D] of least squares for each row of y [D, P], b to the grid's precision.

    Where the best c is out of bounds it is the bound, and a is best beside it.
    """
    grid = np.geomspace(*EXPONENTS, GRID)
    w = 1 / sd**2
    best = np.full(len(y), np.inf)
    found = np.zeros((3, len(y)))
    for b in grid:
        p = z**-b
        mean_p, mean_y = (w * p).sum() / w.sum(), y @ w / w.sum()
        centred = p - mean_p
        spread = float((w * centred**2).sum())
        if spread <= 0:
            continue
        a = (y - mean_y[:, None]) @ (w * centred) / spread
        c = mean_y - a * mean_p
        held = np.clip(c, *within)
        a = np.where(held == c, a, (y - held[:, None]) @ (w * p) / (w * p**2).sum())
        left = (w * (y - held[:, None] - a[:, None] * p) ** 2).sum(axis=1)
        better = left < best
        best = np.where(better, left, best)
        found[:, better] = np.stack([held, a, np.full(len(y), b)])[:, better]
    return found[0], found[1], found[2]


def _polished(
    z: np.ndarray,
    y: np.ndarray,
    sd: np.ndarray,
    start: tuple[float, float, float],
    within: tuple[float, float],
) -> tuple[float, float, float]:
    """The fit from where the search ended; the search's own where nothing better is found."""
    lower, upper = [within[0], -np.inf, EXPONENTS[0]], [within[1], np.inf, EXPONENTS[1]]
    # Starting values on a bound are moved inside by scipy itself.
    with warnings.catch_warnings():
        # Four points that lie on the law leave no residual to estimate a covariance from.
        warnings.simplefilter("ignore", OptimizeWarning)
        try:
            found, _ = curve_fit(_law, z, y, p0=start, sigma=sd, bounds=(lower, upper))
        except RuntimeError:  # no convergence
            return start

    def left(c: float, a: float, b: float) -> float:
        return float((((y - _law(z, c, a, b)) / sd) ** 2).sum())

    c, a, b = (float(part) for part in found)
    return (c, a, b) if left(c, a, b) <= left(*start) else start
