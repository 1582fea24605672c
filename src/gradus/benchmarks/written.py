"""What writers wrote, beside what people wrote."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar

from gradus import registry
from gradus.benchmarks.base import Benchmark
from gradus.metrics.base import Items
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.metrics.writings import WritingMetric, Writings


class WrittenBenchmark(Benchmark):
    """What all writers of a step `sample` are measured by."""

    name: ClassVar[str] = "written.v1"
    summary: ClassVar[str] = "what writers wrote to the same prompts, people among them"
    protocol: ClassVar[str] = (
        "Every writer gets the same prompts, under the same decoding settings; what people wrote "
        "to them is cut to the length that the plan names. Numbers about each text are computed "
        "once and kept. Intervals and tests draw prompts, with all that was written to each."
    )
    metrics: ClassVar[tuple[str, ...]] = (
        "reference_perplexity",
        "broken_sentences",
        "distinct_1",
        "distinct_2",
        "distinct_3",
        "self_bleu",
        "repetition",
        "entropy",
        "novelty_4",
        "novelty_8",
        "longest_copy",
        "unsupported",
        "coherence",
        "entity_consistency",
        "relevance",
        "divergence",
        "panel_fluency",
        "panel_coherence",
        "panel_relevance",
        "panel_diversity",
        "panel_accuracy",
        "panel_wins",
        "judge_fluency",
        "judge_coherence",
        "judge_relevance",
        "judge_diversity",
        "judge_accuracy",
        "judge_wins",
    )
    target: ClassVar[Target | None] = "writing"
    compared: ClassVar[tuple[str, ...]] = (
        "reference_perplexity",
        "coherence",
        "relevance",
        "distinct_2",
        "novelty_8",
        "divergence",
    )

    @classmethod
    def items(cls) -> type[Writings]:
        """Writings."""
        from gradus.metrics.writings import Writings

        return Writings

    @classmethod
    def metrics_on(cls, items: Items) -> tuple[str, ...]:
        """The metrics whose columns the items have."""
        return tuple(name for name, kind in cls.kinds().items() if kind.asked_of(items))

    @classmethod
    def measured_with(cls, columns: Collection[str]) -> frozenset[str]:
        """The metrics that can be taken of items with these columns."""
        kinds = cls.kinds().items()
        return frozenset(name for name, kind in kinds if set(kind.columns) <= set(columns))

    @classmethod
    def kinds(cls) -> dict[str, type[WritingMetric]]:
        """Its metrics by their plain names."""
        return {name: registry.load("metrics", name) for name in cls.metrics}
