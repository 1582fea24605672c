"""What a benchmark is: a protocol under a versioned name and the metrics that belong to it."""

from __future__ import annotations

from typing import ClassVar


class Benchmark:
    """Base of all benchmarks.

    Class attributes:
        name: versioned name, as measurements carry it.
        summary: one line for `gradus ls`.
        protocol: how the observations are taken, in words that a reader can repeat.
        metrics: plain names of the metrics that are computed from them.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    protocol: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
