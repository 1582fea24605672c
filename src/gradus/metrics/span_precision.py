# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Precision of spans, over all types or of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.spansets import SpanMetric

if TYPE_CHECKING:
    import numpy as np


class SpanPrecision(SpanMetric):
    """Of the predicted spans, the share that are true; NaN where none is predicted."""

    name = "span_precision"
    summary = "spans: of the predicted ones, the share that are true"

    def trials(self, gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        return predicted
