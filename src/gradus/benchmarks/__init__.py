"""Benchmarks: how observations are taken, and the metrics that belong to them."""

from __future__ import annotations

from gradus import registry
from gradus.benchmarks.base import Benchmark
from gradus.errors import UsageError


def of(target: str) -> type[Benchmark]:
    """The benchmark that data with this target are measured by.

    >>> of("label").name
    'classify.v1'

    Raises:
        UsageError: there is none.
    """
    for name in registry.names("benchmarks"):
        found: type[Benchmark] = registry.load("benchmarks", name)
        if found.target == target:
            return found
    raise UsageError(f"no benchmark measures data with target '{target}'")


def compared(name: str) -> tuple[str, ...]:
    """The metrics that a benchmark compares, the one that matters most first; () if it is gone.

    >>> compared("classify.v1")
    ('accuracy', 'f1_macro', 'log_loss')
    """
    if name not in registry.names("benchmarks"):
        return ()
    found: type[Benchmark] = registry.load("benchmarks", name)
    return found.compared


def quality_metrics() -> frozenset[str]:
    """Plain names of the metrics of every benchmark with a target."""
    found = [registry.load("benchmarks", name) for name in registry.names("benchmarks")]
    return frozenset(metric for one in found if one.target for metric in one.metrics)
