# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Size on disk."""

from __future__ import annotations

from gradus.metrics.base import Observed
from gradus.metrics.costs import AmountMetric


class Size(AmountMetric):
    """Bytes of the weights and of everything that prediction needs, in 10^6 bytes."""

    name = "size_mb"
    source = "IEC 80000-13: mega is 10^6"
    summary = "size on disk of all that prediction needs, 10^6 bytes"
    needs = "size"

    def amount(self, observed: Observed) -> float | None:
        return observed.size_mb
