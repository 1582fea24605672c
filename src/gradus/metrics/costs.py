# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Metrics of what it costs to run a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradus.metrics.base import Metric, Observed

if TYPE_CHECKING:
    import numpy as np


class TimingMetric(Metric):
    """A quantile of repeated timings; NaN where nothing was timed.

    `quantile` is the median for most. Between the two middle timings of an even number it takes
    their mean (linear interpolation, numpy's default).
    """

    interval = "order statistic"
    quantile: ClassVar[float] = 0.5

    def timings(self, observed: Observed) -> np.ndarray | None:
        """float64 [R], one number a round, or None."""
        raise NotImplementedError

    def __call__(self, observed: Observed) -> float:
        import numpy as np

        values = self.timings(observed)
        if values is None or not len(values):
            return float("nan")
        return float(np.quantile(values, self.quantile))


class AmountMetric(Metric):
    """A number that is the same each time it is taken; compared as it stands."""

    unit = "MB"
    direction = "lower"
    range = (0.0, float("inf"))
    interval = "none"

    def amount(self, observed: Observed) -> float | None:
        """The number, or None where it wasn't taken."""
        raise NotImplementedError

    def __call__(self, observed: Observed) -> float:
        value = self.amount(observed)
        return float("nan") if value is None else float(value)
