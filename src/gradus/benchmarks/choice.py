"""Quality of a language model that chooses among options."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradus.benchmarks.base import Benchmark
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.metrics.options import Options


class ChoiceBenchmark(Benchmark):
    """What every benchmark with options to choose from is measured by."""

    name: ClassVar[str] = "choice.v1"
    summary: ClassVar[str] = "options after a context, the most probable one chosen"
    protocol: ClassVar[str] = (
        "Each option of an item has one log-likelihood in nats after the item's context; the "
        "greatest is chosen, the first on a tie. With length taken into account, log-likelihoods "
        "are divided by the characters of the option as written."
    )
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "accuracy_norm")
    target: ClassVar[Target | None] = "option"
    compared: ClassVar[tuple[str, ...]] = ("accuracy", "accuracy_norm")

    @classmethod
    def items(cls) -> type[Options]:
        """Options."""
        from gradus.metrics.options import Options

        return Options
