"""How far a checkpoint strays from the one it was made from."""

from __future__ import annotations

from typing import ClassVar

from gradus.benchmarks.base import Benchmark


class ParityBenchmark(Benchmark):
    """Hand-off parity: the same items through parent and child."""

    name: ClassVar[str] = "parity.v1"
    summary: ClassVar[str] = "the same texts through parent and child: divergence and label flips"
    protocol: ClassVar[str] = (
        "The items of dev.gate on which both checkpoints were measured; the mean of "
        "KL(parent || child) over the label distributions and the share of items whose most "
        "probable label differs."
    )
    metrics: ClassVar[tuple[str, ...]] = ("parity_kl", "parity_flips")
