# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Recall of spans, over all types or of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.spansets import SpanMetric

if TYPE_CHECKING:
    import numpy as np


class SpanRecall(SpanMetric):
    """Of the true spans, the share that are predicted; NaN where there is none."""

    name = "span_recall"
    summary = "spans: of the true ones, the share that are predicted"

    def trials(self, gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        return gold
