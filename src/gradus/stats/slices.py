"""Is a slice of the items worse off than the rest, and which of many slices are?

Legend: N items, M of them in the slice, D draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from gradus.metrics.base import Items, Metric, Predictions
from gradus.metrics.repeated import Repeated, Seen, kept, runs_of, value
from gradus.stats.intervals import chunks, draw_values


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values: those at most alpha reject with family-wise error alpha.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    count = len(p_values)
    found = [0.0] * count
    highest = 0.0
    for rank, i in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (count - rank) * p_values[i]))
        found[i] = highest
    return found


def worse(
    metric: Metric, seen: Seen, inside: np.ndarray, *, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Value on the slice less value on the rest, and the one-sided p-value of its being worse.

    `inside` is bool [N]. The p-value is that of a permutation test: were it no matter which items
    are in the slice, any M of the N would do as well. For the share of right items of one
    checkpoint that is Fisher's exact test, for anything else D draws of M items; the slice itself
    counts as one of them, so that no p-value is 0. The seeds of a repeated step are taken as they
    are: the question is about the items. Both are NaN where the metric isn't defined on either
    part.
    """
    one = value(metric, kept(seen, np.flatnonzero(inside)))
    rest = value(metric, kept(seen, np.flatnonzero(~inside)))
    gap = one - rest
    if not math.isfinite(gap):
        return math.nan, math.nan
    hits = None if isinstance(seen, Repeated) else _hits(metric, runs_of(seen)[0])
    if hits is not None:
        lower = metric.direction == "higher"
        count = int(hits[inside].sum())
        law = stats.hypergeom(len(hits), int(hits.sum()), int(inside.sum()))
        return gap, float(law.cdf(count) if lower else law.sf(count - 1))
    sign = 1.0 if metric.direction == "higher" else -1.0
    rng, n, reached = np.random.default_rng(seed), len(inside), 1
    for size in chunks(draws, n):
        drawn = rng.permuted(np.tile(inside, (size, 1)), axis=1).astype(np.float64)
        # Ties count as reached; undefined draws too, which errs to the cautious side.
        gaps = _mean(metric, seen, drawn) - _mean(metric, seen, 1 - drawn)
        reached += int(np.count_nonzero(~(sign * gaps > sign * gap + 1e-12)))
    return gap, reached / (draws + 1)


def _hits(metric: Metric, items: Items) -> np.ndarray | None:
    """bool [N] where the metric is the share of the items for which it holds."""
    if (
        not isinstance(items, Predictions)
        or metric.interval != "wilson"
        or metric.label is not None
    ):
        return None
    hits = metric.successes(items)
    return hits if hits is not None and len(hits) == len(items) else None


def _mean(metric: Metric, seen: Seen, weights: np.ndarray) -> np.ndarray:
    """The metric's mean over the seeds under weights [D, N]: float64 [D]."""
    return np.asarray(np.mean([draw_values(metric, r, weights) for r in runs_of(seen)], axis=0))
