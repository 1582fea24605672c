# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Latency at batch 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.base import Observed
from gradus.metrics.costs import TimingMetric

if TYPE_CHECKING:
    import numpy as np


class LatencyP50(TimingMetric):
    """Median time for one text alone, in milliseconds."""

    name = "latency_p50_ms"
    unit = "ms"
    direction = "lower"
    range = (0.0, float("inf"))
    source = "Hyndman and Fan (1996), type 7; single-stream latency as in Reddi et al. (2020)"
    summary = "median milliseconds for one text at a time"
    needs = "latency"

    def timings(self, observed: Observed) -> np.ndarray | None:
        return observed.latency_ms


class LatencyP95(LatencyP50):
    """95th percentile of the time for one text alone, in milliseconds."""

    name = "latency_p95_ms"
    summary = "95th percentile of milliseconds for one text at a time"
    quantile = 0.95
