"""A step's main metrics beside those of the step before it, as paired two-sided differences.

Gates test in one direction; what is shown beside a step is two-sided at the same level, since
nobody said beforehand which way it would go.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gradus import benchmarks
from gradus.metrics.base import Items, Metric
from gradus.metrics.repeated import Repeated, Seen, of_both, one_of
from gradus.metrics.score import NONE, Scores
from gradus.stats import paired
from gradus.stats import seeds as two_level


def shared(own: Seen, other: Seen) -> tuple[Seen, Seen]:
    """The items that both sides hold, in the order of `own`."""
    return of_both(own, other)


def changes(
    own: Seen,
    other: Seen,
    *,
    against: str,
    level: float,
    draws: int,
    seed: int,
    scores: Scores = NONE,
    metrics: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """One row a metric that the benchmark compares, or score: a difference and what it is worth.

    `metrics` names others than those of the target's benchmark.

    That is its two-sided interval and whether it excludes zero; `p_value` is that of the exact
    two-sided McNemar test for accuracy, None for the others. An empty list where no item is shared
    or the labels differ.
    """
    if own.target != other.target or own.labels != other.labels:
        return []
    left, right = shared(own, other)
    if len(left) == 0:
        return []
    compared = [
        *(benchmarks.of(own.target).compared if metrics is None else metrics),
        *scores.on(own.target, own.labels),
    ]
    return [
        {"metric": name, "against": against, **row}
        for name in compared
        if (row := _row(scores.kind(name)(), left, right, level, draws, seed))
    ]


def _row(
    metric: Metric, left: Seen, right: Seen, level: float, draws: int, seed: int
) -> dict[str, Any] | None:
    each = (1 + level) / 2  # two one-sided bounds at this level are the two-sided interval
    p_value = None
    if isinstance(left, Repeated) or isinstance(right, Repeated):
        found = two_level.difference(metric, left, right, level=each, draws=draws, seed=seed)
    else:
        found, p_value = _of_two(metric, one_of(left), one_of(right), each, draws, seed)
    if not math.isfinite(found.value):
        return None
    bounded = math.isfinite(found.low) and math.isfinite(found.high)
    significant = None
    if p_value is not None:
        significant = p_value < 1 - level
    elif bounded:
        significant = found.low > 0 or found.high < 0
    return {
        "difference": found.value,
        "ci_low": found.low if math.isfinite(found.low) else None,
        "ci_high": found.high if math.isfinite(found.high) else None,
        "ci_method": found.method,
        "p_value": p_value,
        "n": len(left),
        "shared": len(left),
        "significant": significant,
    }


def _of_two(
    metric: Metric, left: Items, right: Items, each: float, draws: int, seed: int
) -> tuple[paired.Comparison, float | None]:
    """Two checkpoints: the difference, and a p-value where there is an exact test."""
    one, two = metric.successes(left), metric.successes(right)
    if one is None or two is None:
        return paired.bootstrap(metric, left, right, level=each, draws=draws, seed=seed), None
    b, c = int((one & ~two).sum()), int((~one & two).sum())
    p_value = min(1.0, 2 * min(paired.mcnemar(b, c), paired.mcnemar(c, b)))
    return paired.proportions(one, two, each), p_value
