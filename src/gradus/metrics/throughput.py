# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Throughput."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.base import Observed
from gradus.metrics.costs import TimingMetric

if TYPE_CHECKING:
    import numpy as np


class Throughput(TimingMetric):
    """Median texts a second, whole batches."""

    name = "throughput_texts_s"
    unit = "texts/s"
    direction = "higher"
    range = (0.0, float("inf"))
    source = "offline scenario of Reddi et al. (2020), MLPerf Inference Benchmark"
    summary = "median texts a second in whole batches"
    needs = "throughput"

    def timings(self, observed: Observed) -> np.ndarray | None:
        return observed.throughput_texts_s
