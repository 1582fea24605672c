# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""F1 of spans, over all types or of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.spansets import SpanMetric

if TYPE_CHECKING:
    import numpy as np


class SpanF1(SpanMetric):
    """F1 of spans: 2 hits / (true + predicted); NaN where a type is neither."""

    name = "span_f1"
    summary = "spans: harmonic mean of precision and recall, of all types or one"

    def trials(self, gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        half: np.ndarray = (gold + predicted) / 2
        return half
