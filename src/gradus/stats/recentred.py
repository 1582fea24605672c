"""Intervals of metrics that are larger on resamples than on what they are drawn from.

A distance between two distributions is such a metric: the noise that drawing adds is itself a
distance. Percentiles of the resamples may then leave the value out, and BCa, which corrects twice
for what it takes for the estimate's own bias, is no way out. What drawing adds on average is taken
off instead, on the metric's own scale and on one without ends (`gradus.stats.stretched`); each
alone is too short somewhere (83 % at a distance of 0.95, 83 % at chance, where 95 is said), and the
interval is whatever reaches further.

It is of the value that so many items give on average, chance included; not of what infinitely many
would give.

Legend: N items, D draws.
"""

from __future__ import annotations

import math

import numpy as np

from gradus.metrics.base import Items, Metric
from gradus.stats.draws import Units, chunks, draw_values, percentiles
from gradus.stats.stretched import Scale


def recentred(
    metric: Metric, items: Items, value: float, level: float, draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Two-sided interval around `value`, the metric on N items; fewer than two bound nothing."""
    units = Units.of(items)
    values = np.concatenate(
        [
            draw_values(metric, items, units.weights(units.resamples(size, rng)))
            for size in chunks(draws, max(len(items), 1))
        ]
    )
    values = values[np.isfinite(values)]
    if units.count < 2 or not len(values):
        return -math.inf, math.inf
    low, high = percentiles(values + (value - values.mean()), level)
    scale = Scale(*metric.range)
    inside = values[(values > metric.range[0]) & (values < metric.range[1])]
    if len(inside) and metric.range[0] < value < metric.range[1]:
        places, middle = scale.to(inside), float(scale.to(np.array([value]))[0])
        ends = percentiles(places + (middle - places.mean()), level)
        low, high = min(low, scale.back(ends[0])), max(high, scale.back(ends[1]))
    return min(low, value), max(high, value)
