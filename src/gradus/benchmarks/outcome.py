"""Quality as another harness's own scoring has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradus.benchmarks.base import Benchmark
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.metrics.outcomes import Outcomes


class OutcomeBenchmark(Benchmark):
    """What every task is measured by that scores its items in its own way."""

    name: ClassVar[str] = "outcome.v1"
    summary: ClassVar[str] = "each item scored by its task's own rules, under the task's names"
    protocol: ClassVar[str] = (
        "The task's own code scores each item, once for each of its filters, under names of its "
        "own; a name's number is the mean over the items, or what the aggregation makes of them "
        "that the task names."
    )
    metrics: ClassVar[tuple[str, ...]] = ("outcome", "penalty")
    target: ClassVar[Target | None] = "outcome"
    compared: ClassVar[tuple[str, ...]] = ("outcome", "penalty")

    @classmethod
    def items(cls) -> type[Outcomes]:
        """Outcomes."""
        from gradus.metrics.outcomes import Outcomes

        return Outcomes
