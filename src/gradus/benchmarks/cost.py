"""What it costs to run a checkpoint."""

from __future__ import annotations

from typing import ClassVar

from gradus.benchmarks.base import Benchmark


class CostBenchmark(Benchmark):
    """Latency, throughput, memory and size, with the checkpoints compared taking turns."""

    name: ClassVar[str] = "cost.v1"
    summary: ClassVar[str] = "latency at batch 1, throughput, peak memory, size on disk"
    protocol: ClassVar[str] = (
        "The checkpoints to be compared take turns text by text (latency) and pass by pass "
        "(throughput), after one unmeasured pass each, so that a noisy moment meets them all. "
        "Peak memory is that of a fresh process that loads the checkpoint and classifies the same "
        "texts. Size is that of all files prediction needs."
    )
    metrics: ClassVar[tuple[str, ...]] = (
        "latency_p50_ms",
        "latency_p95_ms",
        "throughput_texts_s",
        "peak_memory_mb",
        "size_mb",
    )
