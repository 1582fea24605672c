"""Quality of a tagger on texts whose spans are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from gradus.benchmarks.base import Benchmark
from gradus.errors import ContractError
from gradus.records import Span, Target

if TYPE_CHECKING:
    from gradus.data.dataset import Split
    from gradus.metrics.spansets import SpanSets
    from gradus.predict.base import Predictor


class TagBenchmark(Benchmark):
    """Every text of a split is tagged once, over the words that the data say it has."""

    name: ClassVar[str] = "tag.v1"
    summary: ClassVar[str] = "spans of a split's texts, right when start, end and type are"
    protocol: ClassVar[str] = (
        "The spans of each text of the split (or of the stated sample, chosen by content hash) are "
        "predicted over the data set's own words. A span is found when start, end and type are "
        "those of a true one; precision, recall and F1 pool all texts, as conlleval does. Types "
        "are matched by name; predicted types that the data set doesn't have are left out."
    )
    metrics: ClassVar[tuple[str, ...]] = ("span_f1", "span_precision", "span_recall")
    target: ClassVar[Target | None] = "spans"
    compared: ClassVar[tuple[str, ...]] = ("span_f1", "span_precision", "span_recall")

    @classmethod
    def items(cls) -> type[SpanSets]:
        """Sets of spans."""
        from gradus.metrics.spansets import SpanSets

        return SpanSets

    @classmethod
    def outputs(
        cls, predictor: Predictor, split: Split, progress: Callable[[int], None] | None = None
    ) -> list[tuple[Span, ...]]:
        """N tuples of spans."""
        return predictor.spans(split.texts, words=split.words, progress=progress)

    @classmethod
    def observe(
        cls, outputs: Any, own: Sequence[str], split: Split, labels: Sequence[str]
    ) -> SpanSets:
        """Types are matched by name."""
        from gradus.metrics.spansets import SpanSets

        if not set(own) & set(labels):
            raise ContractError(
                f"the checkpoint's span types ({', '.join(own[:5])}) and the data set's "
                f"({', '.join(labels[:5])}) have none in common"
            )
        return SpanSets.of(list(split.labels), outputs, labels, split.ids, split.texts)
