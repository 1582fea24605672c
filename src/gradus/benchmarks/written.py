"""What writers wrote, beside what people wrote."""

from __future__ import annotations

from typing import ClassVar

from gradus import registry
from gradus.benchmarks.base import Benchmark
from gradus.metrics.base import Items, Metric
from gradus.metrics.writings import Writings
from gradus.records import Target


class WrittenBenchmark(Benchmark):
    """What all writers of a step `sample` are measured by."""

    name: ClassVar[str] = "written.v1"
    summary: ClassVar[str] = "what writers wrote to the same prompts, people among them"
    protocol: ClassVar[str] = (
        "Every writer gets the same prompts, under the same decoding settings; what people wrote "
        "to them is cut to the length that the plan names. Numbers about each text are computed "
        "once and kept. Intervals and tests draw prompts, with all that was written to each."
    )
    metrics: ClassVar[tuple[str, ...]] = ()
    target: ClassVar[Target | None] = "writing"
    compared: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def items(cls) -> type[Writings]:
        """Writings."""
        return Writings

    @classmethod
    def metrics_on(cls, items: Items) -> tuple[str, ...]:
        """The metrics whose columns the items have."""
        kinds: dict[str, type[Metric]] = {n: registry.load("metrics", n) for n in cls.metrics}
        return tuple(name for name, kind in kinds.items() if kind.asked_of(items))
