"""Quality of what a language model writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradus.benchmarks.base import Benchmark
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.metrics.replies import Replies


class ReplyBenchmark(Benchmark):
    """What every benchmark that has the model write is measured by."""

    name: ClassVar[str] = "reply.v1"
    summary: ClassVar[str] = "what is written after a prompt, beside what people wrote"
    protocol: ClassVar[str] = (
        "The model writes one reply to each prompt, up to the first stop string or the greatest "
        "number of tokens; it is held against one or several references, of which the best one "
        "counts where a metric is taken on single replies."
    )
    metrics: ClassVar[tuple[str, ...]] = (
        "exact_match",
        "token_f1",
        "coqa_f1",
        "rouge_1",
        "rouge_2",
        "rouge_l",
        "bleu",
    )
    target: ClassVar[Target | None] = "reply"
    compared: ClassVar[tuple[str, ...]] = ("exact_match", "token_f1", "rouge_l")

    @classmethod
    def items(cls) -> type[Replies]:
        """Replies."""
        from gradus.metrics.replies import Replies

        return Replies
