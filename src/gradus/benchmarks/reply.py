"""Quality of what a language model writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from gradus.benchmarks.base import Benchmark
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.data.dataset import Split
    from gradus.metrics.replies import Replies
    from gradus.predict.base import Predictor
    from gradus.predict.replies import Said


class ReplyBenchmark(Benchmark):
    """What every benchmark that has the model write is measured by."""

    name: ClassVar[str] = "reply.v1"
    summary: ClassVar[str] = "what is written after a prompt, beside what people wrote"
    protocol: ClassVar[str] = (
        "The model writes one reply to each prompt, up to the first stop string or the greatest "
        "number of tokens; it is held against one or several references, of which the best one "
        "counts where a metric is taken on single replies. On a split of a data set prompts are "
        "written by the model's chat template, replies are greedy and may have half as many tokens "
        "as the longest reference has bytes, rounded up to a power of two; and the reference's "
        "own log-likelihood is taken."
    )
    metrics: ClassVar[tuple[str, ...]] = (
        "exact_match",
        "token_f1",
        "coqa_f1",
        "rouge_1",
        "rouge_2",
        "rouge_l",
        "bleu",
        "reply_log_likelihood",
    )
    target: ClassVar[Target | None] = "reply"
    compared: ClassVar[tuple[str, ...]] = ("exact_match", "token_f1", "rouge_l")

    @classmethod
    def items(cls) -> type[Replies]:
        """Replies."""
        from gradus.metrics.replies import Replies

        return Replies

    @classmethod
    def outputs(
        cls, predictor: Predictor, split: Split, progress: Callable[[int], None] | None = None
    ) -> list[Said]:
        """N replies."""
        return predictor.replies(split.texts, references=list(split.labels), progress=progress)

    @classmethod
    def observe(
        cls, outputs: Any, own: Sequence[str], split: Split, labels: Sequence[str]
    ) -> Replies:
        """Replies beside references; there are no labels to be matched."""
        import numpy as np

        from gradus.metrics.replies import Replies

        known = all(said.nats is not None for said in outputs)
        return Replies(
            tuple(said.text for said in outputs),
            tuple((str(reply),) for reply in split.labels),
            tuple(split.ids),
            nats=np.array([said.nats for said in outputs], dtype=np.float64) if known else None,
        )
