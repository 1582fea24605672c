# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Peak memory."""

from __future__ import annotations

from gradus.metrics.base import Observed
from gradus.metrics.costs import AmountMetric


class PeakMemory(AmountMetric):
    """Peak resident memory of a process that loads the checkpoint and predicts, in 10^6 bytes."""

    name = "peak_memory_mb"
    source = "ru_maxrss of getrusage, POSIX.1-2017 with the kernel's extension"
    summary = "peak resident memory of a predicting process, 10^6 bytes"
    needs = "memory"

    def amount(self, observed: Observed) -> float | None:
        return observed.peak_memory_mb
