"""Two models' means over several runs on the same items, the runs taken as given.

The runs of a repeated cross-validation predict the same items again with other models. Here the
models are given and only the items are drawn: one bootstrap draw weighs the items of every run of
both sides alike. How runs differ has no part in it; `gradus.stats.seeds` draws them too, which for
two or three runs leaves next to nothing that could be told apart.

Legend: N items, D draws, R runs of a side.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from gradus.metrics.base import Items, Metric
from gradus.stats.compare import Difference, holm
from gradus.stats.draws import Units, chunks, draw_values, percentiles

Side = tuple[str, str, Sequence[Items], Sequence[Items]]
"""Two names, and the runs of either."""
METHOD = "paired bootstrap of means over runs"


def compare(
    metric: Metric,
    sides: Sequence[Side],
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> list[Difference | None]:
    """Every pair's difference, None where a value is undefined; Holm's correction over the pairs.

    Intervals are the bootstrap's percentiles, two-sided at `level`; the p-value is the share of
    draws that lie at least as far from the difference as zero does (Efron and Tibshirani 1993,
    16.4), one added above and below. A difference is significant where its corrected p-value is at
    most 1 - `level` and its interval excludes zero. Items of a group (`groups`, int64 [N], any
    numbers) are drawn together.
    """
    found = [
        _difference(metric, side, level=level, draws=draws, seed=seed, groups=groups)
        for side in sides
    ]
    tested = [one.p_value for one in found if one is not None and one.p_value is not None]
    corrected = iter(holm(tested))
    return [None if one is None else _judged(one, next(corrected), 1 - level) for one in found]


def _judged(one: Difference, p_holm: float, alpha: float) -> Difference:
    clear = one.low > 0 or one.high < 0
    return dataclasses.replace(one, p_holm=p_holm, significant=clear and p_holm <= alpha)


def _difference(
    metric: Metric,
    side: Side,
    *,
    level: float,
    draws: int,
    seed: int,
    groups: np.ndarray | None,
) -> Difference | None:
    first, second, mine, theirs = side
    values = [float(np.mean([metric(run) for run in runs])) for runs in (mine, theirs)]
    seen = values[0] - values[1]
    units = units_of([*mine, *theirs], groups)
    if units.count < 2 or not math.isfinite(seen):
        return None
    rng, parts = np.random.default_rng(seed), []
    for size in chunks(draws, max(map(len, mine))):
        drawn = units.resamples(size, rng)
        rows = [
            draw_values(metric, run, units.weights(drawn, place))
            for place, run in enumerate([*mine, *theirs])
        ]
        parts.append(np.mean(rows[: len(mine)], axis=0) - np.mean(rows[len(mine) :], axis=0))
    gaps = np.concatenate(parts)
    gaps = gaps[np.isfinite(gaps)]
    low, high = percentiles(gaps, level)
    far = int(np.count_nonzero(np.abs(gaps - seen) >= abs(seen) - 1e-12))
    return Difference(
        first=first,
        second=second,
        n=len(mine[0]),
        first_value=values[0],
        second_value=values[1],
        difference=seen,
        low=low,
        high=high,
        method=METHOD,
        test=METHOD,
        p_value=(far + 1) / (len(gaps) + 1),
    )


def units_of(runs: Sequence[Items], groups: np.ndarray | None) -> Units:
    """What is drawn: the items of the runs as they are, or groups of them, int64 [N]."""
    if groups is None:
        return Units.of(*runs)
    _, codes = np.unique(groups, return_inverse=True)
    return Units(int(codes.max(initial=-1)) + 1, (codes,) * len(runs))
